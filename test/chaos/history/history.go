// Package history is what clients saw of a cluster, and the judgement on it.
//
// Clients append numbered elements to a list, each at a node of its own. What is
// known of an append is an interval: it was sent at one instant and answered at
// another, and somewhere in between the server acknowledged it. All instants are
// read from one clock, in one process. The judgement uses no more than that, so
// what it calls a violation is one, however late a client was scheduled; what it
// calls fine may have been a violation shorter than the intervals.
package history

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Append is one element whose statement was sent and not refused.
type Append struct {
	Node     string // the server that it was sent to, and the client's name
	Sequence int

	Sent time.Duration // since the beginning of the run, read before the statement was sent

	// Silent is an instant, Sent or later, at which the answer was not there yet: the
	// acknowledgement was given after it. It makes the interval of an append short
	// that waited in a frozen server.
	Silent time.Duration

	Acknowledged bool          // if not, nothing is known of its fate
	Done         time.Duration // of the answer, or of the end of hope
	Timeline     int           // of an acknowledged one: that it was committed on
}

// earliest is before the acknowledgement was given.
func (a Append) earliest() time.Duration { return max(a.Sent, a.Silent) }

func (a Append) String() string {
	return fmt.Sprintf("%s/%d on timeline %d in [%s, %s]", a.Node, a.Sequence, a.Timeline, Instant(a.earliest()), Instant(a.Done))
}

// Instant prints an instant of the run, in seconds.
func Instant(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// History collects appends from several clients.
type History struct {
	began time.Time

	mu      sync.Mutex
	appends []Append
	heard   map[string]time.Duration // by node: the last acknowledgement
	strange []string
}

// New begins a run now.
func New() *History { return &History{began: time.Now(), heard: map[string]time.Duration{}} }

// Now is the instant on the run's clock.
func (h *History) Now() time.Duration { return time.Since(h.began) }

// Began is when the run's clock was 0, for who reads logs beside it.
func (h *History) Began() time.Time { return h.began }

// Add adds an append that is over.
func (h *History) Add(a Append) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.appends = append(h.appends, a)
	if a.Acknowledged {
		h.heard[a.Node] = max(h.heard[a.Node], a.Done)
	}
}

// AddStrange adds something that a client saw and that must not be, in words.
func (h *History) AddStrange(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.strange = append(h.strange, text)
}

// Strange is what clients saw that must not be.
func (h *History) Strange() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.strange)
}

// Appends are all so far, in the order in which they were over.
func (h *History) Appends() []Append {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.appends)
}

// Heard is when a node acknowledged last; 0: never.
func (h *History) Heard(node string) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.heard[node]
}
