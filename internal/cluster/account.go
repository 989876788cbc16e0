package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"matriarch/internal/wal"
)

// Account is what one member saw, decided and did in a change of the leader, with
// times. It is Matriarch's own; Patroni's members pass over the key.
type Account struct {
	By       string // the member that tells
	Kind     string // failover, switchover or requested failover
	From     string // who led before; empty: not known
	To       string // who leads now; empty: not known, or nobody yet
	Timeline wal.Timeline
	Steps    []Step
}

// Step is one line of an account.
type Step struct {
	At   time.Time
	Text string
}

// Began and Ended are the times of the first and the last step.
func (a Account) Began() time.Time { return a.Steps[0].At }

// Ended is the time of the last step.
func (a Account) Ended() time.Time { return a.Steps[len(a.Steps)-1].At }

// What is kept of accounts is bounded: the key is in the mirror of every member.
const (
	accountsMost      = 24
	accountsBytesMost = 48 << 10
	stepsMost         = 40
	stepTextMost      = 300 // bytes
)

// accountJSON is the stored form. Times are UTC with microseconds.
type accountJSON struct {
	By       string     `json:"by"`
	Kind     string     `json:"kind"`
	From     string     `json:"from,omitempty"`
	To       string     `json:"to,omitempty"`
	Timeline uint32     `json:"timeline,omitempty"`
	Steps    []stepJSON `json:"steps"`
}

type stepJSON struct {
	At   string `json:"at"`
	Text string `json:"text"`
}

const stepTime = "2006-01-02T15:04:05.000000Z07:00"

// EncodeAccounts is the value of the accounts key: the newest, as many as are kept.
func EncodeAccounts(accounts []Account) []byte {
	accounts = accounts[max(0, len(accounts)-accountsMost):]
	var out [][]byte
	size := 0
	for _, a := range slices.Backward(accounts) {
		data := EncodeJSON(a.encode())
		if size += len(data) + 1; size > accountsBytesMost && len(out) > 0 {
			break
		}
		out = append(out, data)
	}
	slices.Reverse(out)
	return slices.Concat([]byte("["), bytes.Join(out, []byte(",")), []byte("]"))
}

func (a Account) encode() accountJSON {
	out := accountJSON{By: a.By, Kind: a.Kind, From: a.From, To: a.To, Timeline: uint32(a.Timeline), Steps: []stepJSON{}}
	for _, s := range a.Steps {
		out.Steps = append(out.Steps, stepJSON{At: s.At.UTC().Format(stepTime), Text: shortened(s.Text)})
	}
	return out
}

func shortened(text string) string {
	if len(text) <= stepTextMost {
		return text
	}
	return strings.ToValidUTF8(text[:stepTextMost], "") + "…"
}

// Tell adds a step. Of a long account the beginning and the end are kept.
func (a *Account) Tell(at time.Time, text string) {
	a.Steps = append(a.Steps, Step{At: at, Text: text})
	if len(a.Steps) > stepsMost {
		a.Steps = slices.Delete(a.Steps, stepsMost/4, stepsMost/4+1)
	}
}

// ParseAccounts reads the accounts key. What cannot be read is left out and named.
func ParseAccounts(data []byte) ([]Account, error) {
	if len(data) == 0 {
		return nil, nil
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("read the accounts of changes of the leader: %w", err)
	}
	var out []Account
	bad := 0
	for _, item := range raw {
		a, ok := parseAccount(item)
		if !ok {
			bad++
			continue
		}
		out = append(out, a)
	}
	if bad > 0 {
		return out, fmt.Errorf("read the accounts of changes of the leader: %d of %d cannot be understood", bad, len(raw))
	}
	return out, nil
}

func parseAccount(item json.RawMessage) (Account, bool) {
	var in accountJSON
	if json.Unmarshal(item, &in) != nil || len(in.Steps) == 0 {
		return Account{}, false
	}
	a := Account{By: in.By, Kind: in.Kind, From: in.From, To: in.To, Timeline: wal.Timeline(in.Timeline)}
	for _, s := range in.Steps {
		at, err := time.Parse(time.RFC3339Nano, s.At)
		if err != nil {
			return Account{}, false
		}
		a.Steps = append(a.Steps, Step{At: at, Text: s.Text})
	}
	return a, true
}

// WithAccount replaces the earlier state of the same account, or adds it.
func WithAccount(accounts []Account, a Account) []Account {
	out := slices.Clone(accounts)
	for i, old := range out {
		if old.By == a.By && old.Began().Equal(a.Began().Truncate(time.Microsecond)) {
			out[i] = a
			return out
		}
	}
	return append(out, a)
}
