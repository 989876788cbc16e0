package ctl

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
	"matriarch/internal/config"
)

const (
	stopTime   = time.Minute     // a fast shutdown with its checkpoint, where no limit is set
	streamTime = 2 * time.Minute // until a standby streams again
)

// now restarts a member and stays with it until its server is up, or is certain not
// to be. A member that does not tell its state is not asked: it would hold up the
// operator for as long as a start may take.
func (r *restarting) now(ctx context.Context, m cluster.Member) outcome {
	before, err := r.rest.Server(ctx, m.APIURL)
	if err != nil {
		return r.unreachableMember(m, err)
	}
	limited, cancel := context.WithTimeout(ctx, r.patience())
	defer cancel()
	p := r.progress()
	p.shown = r.memberLine(m.Name)(r.mirrored()) // the table has told it
	answer, err := r.during(limited, p, r.memberLine(m.Name), func(ctx context.Context) (client.Answer, error) {
		return r.rest.Restart(ctx, m.APIURL, r.request)
	})
	// Both mean that the restart goes on, or may.
	lost := err != nil && !client.NotSent(err)
	slow := err == nil && answer.Code == http.StatusServiceUnavailable && strings.Contains(answer.Text, "still starting")
	if ctx.Err() == nil && (lost || slow) {
		if o, known := r.awaitServer(ctx, m, before, p); known {
			return o
		}
	}
	if ctx.Err() != nil {
		r.warn(fmt.Sprintf("member %s has got the request; the restart goes on", m.Name))
		return outcome{Member: m.Name, Result: resultUnknown}
	}
	if slow {
		r.line("Result unknown: restart for member %s, status code=%d, (%s)\n", m.Name, answer.Code, answer.Text)
		return outcome{Member: m.Name, Result: resultUnknown, Code: answer.Code, Text: answer.Text}
	}
	return r.answered(m, answer, err)
}

// patience is how long a member may take to answer: until its server has stopped
// and started, and a synchronous standby has been released before.
func (r *restarting) patience() time.Duration {
	start, stop := r.before.settings.PrimaryStartTimeout, r.before.settings.PrimaryStopTimeout
	if n, ok := config.ParseInt(r.request.Timeout, "s"); ok { // what cannot be read the member refuses
		start = time.Duration(n) * time.Second
	}
	if stop == 0 {
		stop = stopTime
	}
	return start + stop + 2*r.before.settings.LoopWait + r.timeout
}

// silentLimit is in looks: for so long a member may say nothing, or nothing new.
const silentLimit = 30

// awaitServer looks at the server itself where the answer is missing or came too
// early. known is false when nobody can tell.
func (r *restarting) awaitServer(ctx context.Context, m cluster.Member, before client.Server, p *progress) (o outcome, known bool) {
	ctx, cancel := context.WithTimeout(ctx, r.patience())
	defer cancel()
	defer p.end()
	ticker := time.NewTicker(r.pace)
	defer ticker.Stop()
	for silent, idle := 0, 0; silent < silentLimit && idle < silentLimit; {
		now, err := r.rest.Server(ctx, m.APIURL)
		switch {
		case err != nil:
			silent++
		case now.State == cluster.StateRunning && now.Started == before.Started: // not begun, if it ever will be
			silent, idle = 0, idle+1
		case now.State == cluster.StateRunning && now.Started != "" && now.Started != before.Started:
			r.line("Success: restart on member %s\n", m.Name)
			return outcome{Member: m.Name, Result: resultDone}, true
		case broken(now.State):
			r.line("Failed: restart for member %s, (%s)\n", m.Name, now.State)
			return outcome{Member: m.Name, Result: resultFailed, Text: string(now.State)}, true
		default:
			silent, idle = 0, 0
			p.show(fmt.Sprintf("%s: %s", m.Name, now.State))
		}
		select {
		case <-ticker.C:
			p.tick()
		case <-ctx.Done():
			return outcome{}, false
		}
	}
	return outcome{}, false
}

// broken states are the end of an attempt.
func broken(s cluster.State) bool {
	return s == cluster.StateCrashed || strings.HasSuffix(string(s), "failed")
}

// streams waits until a restarted standby follows again, so that a rolling restart
// never has two of them away. The store may still tell of the time before, so the
// member itself is asked.
func (r *restarting) streams(ctx context.Context, m cluster.Member) bool {
	ctx, cancel := context.WithTimeout(ctx, streamTime)
	defer cancel()
	p := r.progress()
	defer p.end()
	ticker := time.NewTicker(r.pace)
	defer ticker.Stop()
	for {
		now, err := r.rest.Server(ctx, m.APIURL)
		// Patroni tells since 3.3 whether a standby streams; of an older one it is enough
		// to run.
		follows := now.ReplicationState != "" || m.ReplicationState == "" || m.Tags.Nostream()
		if err == nil && now.State == cluster.StateRunning && (now.Role == cluster.RolePrimary || follows) {
			return true
		}
		if err == nil {
			p.show(fmt.Sprintf("%s: %s, does not stream yet", m.Name, now.State))
		}
		select {
		case <-ticker.C:
			p.tick()
		case <-ctx.Done():
			r.line("Failed: member %s does not stream again\n", m.Name)
			r.add(outcome{Member: m.Name, Result: resultFailed, Text: "does not stream again"})
			return false
		}
	}
}
