// Package permit keeps this node's right to take writes, and decides when
// another node may take it over.
//
// It is a stepper: values go in with the instant at which they came, values come
// out. It has no goroutine, no clock, no store and no network, so that the agent
// and the simulator drive the same code. Node is the whole of one node; inside it
// a Follower keeps the promises made to leaders (rules P2, P3, P4, P7, P9 of the
// design) and, while this node leads, a Holder keeps the permit (P1, P5, P6, P8,
// P9).
//
// The one fact that it publishes is the permit: the instant by which the server
// must have stopped taking writes. There is no Held(), for its answer would be
// stale before the caller used it.
package permit

import (
	"time"

	"matriarch/internal/boottime"
)

// Default and Shortest are lengths of a permit. Below Shortest the smallest
// margin would be too great a part of it.
const (
	Default  = time.Second
	Shortest = 300 * time.Millisecond
)

const (
	marginPart = 20                    // a twentieth of the permit
	marginMin  = 20 * time.Millisecond // and never less than this
)

// Margin is the time that a leader stops early, and again the time that a
// candidate waits longer, so that between the two lie 2 × Margin. That has to
// cover two things:
//
//   - Rates: the two clocks run at different rates. The kernel slews a clock by
//     at most 500 ppm for NTP's frequency and 500 ppm for adjtime, and crystals
//     are within 100 ppm, so two nodes differ by at most 2,200 ppm: 2.2 ms over
//     a permit of 1 s.
//   - The guard: from the deadline to the moment at which no process of the
//     server runs. Measured at 3 ms for 106 processes under load, plus the wait
//     for a processor, which a raised priority keeps to some 10 ms.
//
// A permit of 1 s has 100 ms for both (2.2 ms and 97.8 ms), the shortest one of
// 0.3 s has 40 ms (0.7 ms and 39.3 ms), and one of 10 s has 1 s (22 ms and
// 978 ms): the guard's part is some three times what was measured, at the least.
func Margin(permit time.Duration) time.Duration { return max(permit/marginPart, marginMin) }

// span is how long after a send the leader may write (P1).
func span(permit time.Duration) time.Duration { return max(permit-Margin(permit), 0) }

// quiet is how long a candidate waits after a promise (P2).
func quiet(permit time.Duration) time.Duration { return permit + Margin(permit) }

// later is the later of two instants.
func later(a, b boottime.Instant) boottime.Instant { return max(a, b) }
