// Package wal orders positions in PostgreSQL's write-ahead log.
//
// A position means something only together with the timeline it is on: two
// servers can both have written byte 0/5000000, and written different things.
// So the type to compare is Point, and whether one server can follow another is
// a question to History, never to a bare LSN (invariant S3).
package wal

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// LSN is a byte position in the log (PostgreSQL manual, pg_lsn type).
type LSN uint64

// String prints the LSN as PostgreSQL does: two hexadecimal halves, not padded.
func (l LSN) String() string {
	return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l))
}

// ParseLSN reads PostgreSQL's text form, for example 0/3000148.
func ParseLSN(s string) (LSN, error) {
	high, low, found := strings.Cut(s, "/")
	if !found {
		return 0, fmt.Errorf("parse LSN %q: want two hexadecimal numbers with a slash between them", s)
	}
	h, errHigh := strconv.ParseUint(high, 16, 32)
	l, errLow := strconv.ParseUint(low, 16, 32)
	if err := cmp.Or(errHigh, errLow); err != nil {
		return 0, fmt.Errorf("parse LSN %q: %w", s, err)
	}
	return LSN(h<<32 | l), nil
}

// Timeline numbers a branch of the log; a promotion begins a new one. Zero
// means that the timeline is not known.
type Timeline uint32

// Point is a position in the log: meaningful, unlike an LSN alone, across
// servers.
type Point struct {
	Timeline Timeline
	LSN      LSN
}

// String prints timeline and LSN, for example 3@0/5000060.
func (p Point) String() string { return fmt.Sprintf("%d@%s", p.Timeline, p.LSN) }

// Compare orders points by timeline first: a server on a later timeline has
// what counts, however far another one wrote on an earlier one.
func (p Point) Compare(q Point) int {
	return cmp.Or(cmp.Compare(p.Timeline, q.Timeline), cmp.Compare(p.LSN, q.LSN))
}
