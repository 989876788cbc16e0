package sim

import (
	"slices"

	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

// record is one change in a server's log: a row that a client wrote, or a shutdown
// checkpoint (row 0). It ends at lsn.
type record struct {
	timeline wal.Timeline
	lsn      wal.LSN
	row      int
}

// recordBytes is the length of every record.
const recordBytes = 100

// disk is a data directory: what survives a crash.
type disk struct {
	present    bool
	systemID   string
	history    wal.History // of the timeline that is being written or followed
	log        []record
	end        wal.LSN
	standby    bool // standby.signal
	clean      bool // shut down in order
	checkpoint wal.Timeline
	upstream   ha.Upstream
	slots      []ha.Slot
	unfinished ha.Work
}

func (d *disk) point() wal.Point { return wal.Point{Timeline: d.history.Timeline, LSN: d.end} }

// append writes one record at the end of the log.
func (d *disk) append(row int) {
	d.end += recordBytes
	d.log = append(d.log, record{timeline: d.history.Timeline, lsn: d.end, row: row})
}

// copyOf is what a base backup or a rewind makes of the source.
func (d *disk) copyOf(source *disk) {
	upstream := d.upstream
	*d = *source
	d.log = slices.Clone(source.log)
	d.history.Switches = slices.Clone(source.history.Switches)
	d.slots, d.upstream = nil, upstream
	d.standby, d.clean, d.unfinished = true, false, ha.NoWork
}

// canStream reports that the upstream's history contains this log. A log that has
// forked off gets an error from PostgreSQL and nothing else.
func (d *disk) canStream(from *disk) bool {
	if !from.history.Contains(d.point()) {
		return false
	}
	return d.history.Timeline != from.history.Timeline || d.end <= from.end
}

// rows are the rows in the log, in order.
func (d *disk) rows() []int {
	var out []int
	for _, r := range d.log {
		if r.row != 0 {
			out = append(out, r.row)
		}
	}
	return out
}
