package permit

import (
	"matriarch/internal/boottime"
)

// record is what a restarted agent will find, as far as this one knows.
type record struct {
	kept     content
	term     int64 // of the leadership in it
	revision int64 // of the electorate in it
	mixed    bool
	saved    int64 // the newest term stored
	again    boottime.Instant
}

// content is what the guard holds of a leader.
type content int

const (
	unasked   content = iota // since the start
	nothing                  // this node does not lead
	something                // a Kept
	doubtful                 // a call has failed
)

// keepRecord stores what a restart must know as soon as it is so: the term that
// this node leads, and that it leads no more. The revision that a put has come to is
// kept as well: until then the record says that the put may be applied or not, and the
// next life would have to count on both.
func (d *Driver) keepRecord(now boottime.Instant) {
	if now < d.record.again {
		return
	}
	if !d.led {
		if d.record.kept == something || d.record.kept == doubtful {
			d.store(now)
		}
		return
	}
	if d.record.kept != something || d.record.term != d.node.holder.term || d.record.revision != d.keptRevision() || d.record.mixed != d.mixed() {
		d.store(now)
	}
	d.saveTerm(now)
}

// keptRevision is the revision that Keep would store.
func (d *Driver) keptRevision() int64 {
	if h := d.node.holder; !h.blind {
		return h.revision
	}
	return 0
}

// store brings the guard's record up to date. False: it is not known to be.
func (d *Driver) store(now boottime.Instant) bool {
	k, leading := d.node.Keep()
	k.Mixed = leading && d.mixed()
	if err := d.hands().Keep(k, leading); err != nil {
		d.record.kept, d.record.again = doubtful, now.Add(d.pause())
		return false
	}
	d.record.kept, d.record.term, d.record.revision, d.record.mixed, d.record.again = nothing, k.Term, k.Revision, k.Mixed, 0
	if leading {
		d.record.kept = something
	}
	return true
}

// KeepAgain has the record stored anew in the next step: the Hands add something else
// to it now.
func (d *Driver) KeepAgain() {
	d.rested = 0
	if d.record.kept == something {
		d.record.kept = doubtful
	}
}

// saveTerm stores the newest term, if there is a record of terms.
func (d *Driver) saveTerm(now boottime.Instant) bool {
	term, _ := d.node.Term()
	if d.o.SaveTerm == nil || term <= d.record.saved {
		return true
	}
	d.acted = true
	if d.o.SaveTerm(term) != nil {
		d.record.again = now.Add(d.pause())
		return false
	}
	d.record.saved = term
	return true
}

// onRecord reports whether a restart now would know of the term that this node
// leads, so that its server may be promoted.
func (d *Driver) onRecord() bool {
	return d.record.kept == something && (d.o.SaveTerm == nil || d.record.saved >= d.node.holder.term)
}
