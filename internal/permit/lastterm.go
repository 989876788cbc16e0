package permit

import (
	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// TermKey is put by every takeover, in the same transaction, and hangs on no lease. What
// it holds counts for nothing: its revision tells whether anybody has taken over since.
//
// The two other keys do not tell that when somebody writes over the electorate by hand,
// or deletes it, in the moment in which a lease ends: of a leader that came and went in
// the store nothing is left then, and it may be writing all the same, carried by its
// members.
const TermKey = "term"

// nobodyTookOver is the condition that the term key is still as it was seen.
func nobodyTookOver(seen int64) dcs.Condition {
	return dcs.Condition{Key: TermKey, Absent: seen == 0, Modified: seen}
}

// unmarked reports that there is no such key: it was deleted by hand, or this term began
// by Patroni's key, or before there was any. The leader puts it then.
func (h *Holder) unmarked() bool { return h.taken == 0 && h.at > 0 }

// unbroken reports that nobody else has led since this term began, up to what a view
// shows. Else this leader may not put its keys back.
func (h *Holder) unbroken(v View, now boottime.Instant) bool {
	switch {
	case v.Leader == h.me, v.At < h.revision:
		return true
	case now < h.permit: // whoever takes over waits for the end of it
		return true
	case v.Revision > 0 && (v.Revision == h.revision || !v.illegible()):
		return true // untouched, or it says who led
	}
	return v.Taken > 0 && v.Taken <= max(h.term, h.sure)
}
