package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"matriarch/internal/api"
	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

const (
	failsafeTimeout = 2 * time.Second // of one try (B-543)
	failsafeTries   = 2
)

// Failsafe asks all members of the map, API URL by name, to accept that the caller
// stays leader without the store. It returns when all have answered or used up
// their tries, so after four seconds at most; sorted by name. The errors say, for
// the log, why members did not accept.
func (c *Client) Failsafe(ctx context.Context, others map[string]string, call cluster.FailsafeCall) ([]cluster.FailsafeAnswer, []error) {
	answers, faults := make([]cluster.FailsafeAnswer, 0, len(others)), []error(nil)
	var mu sync.Mutex
	var wait sync.WaitGroup
	for name, apiURL := range others {
		wait.Go(func() {
			answer, err := c.askFailsafe(ctx, name, apiURL, call)
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, answer)
			if err != nil {
				faults = append(faults, err)
			}
		})
	}
	wait.Wait()
	slices.SortFunc(answers, func(a, b cluster.FailsafeAnswer) int { return strings.Compare(a.Member, b.Member) })
	return answers, faults
}

// askFailsafe asks again only if there was no answer: one that came is the word of
// that member.
func (c *Client) askFailsafe(ctx context.Context, name, apiURL string, call cluster.FailsafeCall) (cluster.FailsafeAnswer, error) {
	out := cluster.FailsafeAnswer{Member: name}
	var reply Answer
	var err error
	for range failsafeTries {
		reply, err = c.tryFailsafe(ctx, apiURL, call)
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return out, fmt.Errorf("ask %s to accept failsafe mode: %w", name, err)
	}
	if reply.Code != http.StatusOK || reply.Text != api.FailsafeAccepted {
		return out, fmt.Errorf("ask %s to accept failsafe mode: it answered %d", name, reply.Code)
	}
	out.Accepted = true
	if n, err := strconv.ParseUint(reply.Header.Get("lsn"), 10, 63); err == nil {
		out.Position = wal.LSN(n)
	}
	return out, nil
}

func (c *Client) tryFailsafe(ctx context.Context, apiURL string, call cluster.FailsafeCall) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, failsafeTimeout)
	defer cancel()
	return c.Do(ctx, http.MethodPost, apiURL, "failsafe", json.RawMessage(call.Encode()))
}
