package sim

import (
	"slices"
	"strings"

	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

// stretch is a part of a log that was written without a promotion in between.
// Servers know timelines; the branch is the truth: no two promotions share one,
// even when both give the same number to their timeline.
type stretch struct {
	branch   int
	timeline wal.Timeline
	end      wal.LSN
}

// disk is a data directory: what survives a crash.
type disk struct {
	present    bool
	systemID   string
	history    wal.History // of the timeline that is being written or followed
	log        []stretch
	standby    bool // standby.signal
	clean      bool // shut down in order
	shutdown   bool // the log's last record is a shutdown checkpoint
	checkpoint wal.Timeline
	upstream   ha.Upstream
	slots      []ha.Slot
	unfinished ha.Work
}

// end is where the log ends.
func (d *disk) end() wal.LSN {
	if len(d.log) == 0 {
		return 0
	}
	return d.log[len(d.log)-1].end
}

// branch is that of the log's last byte.
func (d *disk) branch() int {
	if len(d.log) == 0 {
		return 0
	}
	return d.log[len(d.log)-1].branch
}

// point is where the log ends, as its server says it.
func (d *disk) point() wal.Point { return wal.Point{Timeline: d.history.Timeline, LSN: d.end()} }

// append writes that many bytes at the end of the log.
func (d *disk) append(bytes wal.LSN) { d.log[len(d.log)-1].end += bytes }

// fork begins a new branch, as a promotion does.
func (d *disk) fork(branch int, above wal.Timeline) {
	h := &d.history
	h.Switches = append(slices.Clone(h.Switches), wal.Switch{Timeline: h.Timeline, LSN: d.end()})
	h.Timeline = max(h.Timeline, above) + 1
	d.log = append(slices.Clone(d.log), stretch{branch: branch, timeline: h.Timeline, end: d.end() + recordBytes})
}

// recordBytes is the length of every record.
const recordBytes = 100

// copyOf is what a base backup or a rewind makes of the source.
func (d *disk) copyOf(source *disk) {
	upstream := d.upstream
	*d = *source
	d.log = slices.Clone(source.log)
	d.slots, d.upstream = nil, upstream
	d.standby, d.clean, d.shutdown, d.unfinished = true, false, false, ha.NoWork
}

// place puts a slot in, in the order of the names, instead of one of that name.
func (d *disk) place(slot ha.Slot) {
	slots := slices.DeleteFunc(slices.Clone(d.slots), func(s ha.Slot) bool { return s.Name == slot.Name })
	slots = append(slots, slot)
	slices.SortFunc(slots, func(a, b ha.Slot) int { return strings.Compare(a.Name, b.Name) })
	d.slots = slots
}

// canStream is what PostgreSQL knows: the source's history contains this log. One
// that has forked off gets an error and nothing else.
func (d *disk) canStream(from *disk) bool {
	if d.systemID != from.systemID || !from.history.Contains(d.point()) {
		return false
	}
	return d.history.Timeline != from.history.Timeline || d.end() <= from.end()
}

// isPrefixOf is the truth: the other log begins with all of this one.
func (d *disk) isPrefixOf(other *disk) bool {
	for i, s := range d.log {
		if i >= len(other.log) || other.log[i].branch != s.branch || other.log[i].end < s.end {
			return false
		}
		if other.log[i].end != s.end && i < len(d.log)-1 {
			return false
		}
	}
	return true
}

// has reports whether the log contains a branch up to a position.
func (d *disk) has(branch int, upTo wal.LSN) bool {
	for _, s := range d.log {
		if s.branch == branch {
			return s.end >= upTo
		}
	}
	return false
}

// receive takes over the source's log up to a position. No two disks share one, so it is
// written where the old one stood.
func (d *disk) receive(from *disk, upTo wal.LSN) {
	log := d.log[:0]
	for _, s := range from.log {
		if len(log) > 0 && log[len(log)-1].end >= upTo {
			break
		}
		s.end = min(s.end, upTo)
		log = append(log, s)
	}
	d.log = log
	last := log[len(log)-1].timeline
	if d.history.Timeline != last {
		d.history = historyUpTo(from.history, last)
	}
	d.shutdown = false
}

// historyUpTo is a history as it was on one of its timelines.
func historyUpTo(h wal.History, timeline wal.Timeline) wal.History {
	if h.Timeline == timeline {
		return h
	}
	out := wal.History{Timeline: timeline}
	for _, s := range h.Switches {
		if s.Timeline < timeline {
			out.Switches = append(out.Switches, s)
		}
	}
	return out
}
