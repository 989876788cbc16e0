package sim

import (
	"fmt"
	"slices"
	"time"

	"matriarch/internal/dcs"
	"matriarch/internal/ha"
	"matriarch/internal/permit"
	"matriarch/internal/wal"
)

// checks are the invariants of the design, and what they need to remember.
type checks struct {
	w      *World
	broken string // the first that was, in words

	primaryNow     *host   // who acknowledges
	outageFrom     instant // since when nobody does
	worst          time.Duration
	systemID       string
	acked          map[int]wal.LSN // by branch: up to where commits were acknowledged
	waited         map[int]wal.LSN // likewise, in synchronous mode
	lastAck        instant
	lost           wal.LSN // bytes that were acknowledged and not shipped (asynchronous)
	newest         *server // whom the last promotion made primary
	newestTimeline wal.Timeline
	failovers      int
	commits        int
	disturbed      instant // the last change of anything that matters
}

func (c *checks) begin(w *World) {
	c.w = w
	c.acked, c.waited = map[int]wal.LSN{}, map[int]wal.LSN{}
}

// touched notes that something has changed that matters: the world is not quiet.
func (w *World) touched() { w.disturbed = w.now }

// violation ends the run.
func (w *World) violation(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
		w.tell("BROKEN %s", w.broken)
	}
}

// checkPrimaries is S1, whenever a server may have begun or ended to acknowledge.
func (w *World) checkPrimaries() {
	var now *host
	for _, h := range w.hosts {
		if !h.server.acknowledges() {
			continue
		}
		if now != nil && (w.excused(now) || w.excused(h)) {
			continue // what the invariants say is of a cluster that is not paused
		}
		if now != nil {
			w.violation("S1: %s and %s acknowledge commits at the same time", now.name, h.name)
			return
		}
		now = h
	}
	if now == w.primaryNow {
		return
	}
	w.touched()
	w.primaryNow = now
	if now == nil {
		w.outageFrom = w.now
		w.checkUnbroken()
	} else if w.outageFrom > 0 {
		w.worst = max(w.worst, w.now.sub(w.outageFrom))
	}
}

// pauseMost is the longest pause of writes where nothing may stop them.
const pauseMost = 200 * time.Millisecond

// checkUnbroken is L3: while nothing but etcd is away, writes go on.
func (w *World) checkUnbroken() {
	if !w.unbroken {
		return
	}
	from := w.outageFrom
	w.after(pauseMost, func() {
		if w.unbroken && w.primaryNow == nil && w.outageFrom == from {
			w.violation("L3: etcd is away, every member is reachable, and nobody takes writes for %v", pauseMost)
		}
	})
}

// passedOver says which candidate has what this one lacks, though it was there to be
// asked ever since the lead was first seen to be open: this one must not ask for the
// lead. It may pass a better one over after it has held back for a while, or one that
// is not in the electorate and cannot win, but never one on a newer timeline.
func (w *World) passedOver(s *server, open instant, free time.Duration) string {
	if w.stable > open || w.etcd.snapshot().View().Failover.Requested() || s.receiver.last > open {
		return ""
	}
	electorate, view := permit.Look(w.etcd.snapshot()).Electorate.Members, w.etcd.snapshot().View()
	for _, h := range w.hosts {
		o := h.server
		if o == s || !w.mayBeAsked(s.h, h) || o.receiver.last > open || h.agent.begun > open || o.ready > open {
			continue
		}
		if listed, ok := view.Member(h.name); !ok || listed.Tags.Nofailover() {
			continue // its agent has been restarted without the tag, and has not said so yet
		}
		mayWin := len(electorate) == 0 || slices.Contains(electorate, h.name)
		if key := view.Sync; w.synchronous && key.Leader != "" && (key.Leader == h.name || !key.Includes(h.name)) {
			continue // what counts of the last primary's log is on the standbys of the key (B-112, B-130)
		}
		newer := o.disk.history.Timeline > s.disk.history.Timeline
		ahead := s.disk.isPrefixOf(&o.disk) && o.disk.end() > s.disk.end() && free < holdBack && mayWin
		if newer || ahead {
			return fmt.Sprintf("%s at %v was there to be asked", h.name, o.disk.point())
		}
	}
	return ""
}

// holdBack is for how long a candidate lets a better one go before, at the least.
const holdBack = 450 * time.Millisecond

// mayBeAsked reports that a host's standby can be a candidate, and answers.
func (w *World) mayBeAsked(from, h *host) bool {
	s := h.server
	return s.runs() && s.phase == ready && !s.primary && h.agent.runs() && w.net.joined(from.machine, h.machine) &&
		!h.tags.Nofailover() && s.disk.systemID == w.systemID && w.net.loss == 0 && !w.net.slowed() && w.etcdSlow == 0 && w.busy == 0 && w.replayLag == 0
}

// acknowledged is a commit that a client was told of.
func (w *World) acknowledged(s *server, c commit) {
	w.commits++
	w.lastAck = w.now
	w.acked[c.branch] = max(w.acked[c.branch], c.upTo)
	// Before the leader has put its name into the sync key, the mode is not in force (B-401).
	if w.synchronous && w.etcd.snapshot().View().Sync.Leader == s.h.name {
		w.waited[c.branch] = max(w.waited[c.branch], c.upTo)
	}
}

// checkPromotion is S2 and S6, at the moment of a promotion.
func (w *World) checkPromotion(s *server) {
	d := &s.disk
	w.failovers++
	if s.h.tags.Nofailover() {
		w.violation("S6: %s is promoted, and it is tagged nofailover", s.h.name)
	}
	if w.systemID != "" && d.systemID != w.systemID {
		w.violation("S5: %s is promoted, and its system is another one", s.h.name)
	}
	w.checkLag(s)
	if better := s.h.agent.right.better; better != "" {
		w.violation("S6: %s is promoted at %v, and asked for the lead though %s", s.h.name, d.point(), better)
	}
	for branch := range w.branches + 1 {
		upTo, acked := w.acked[branch]
		if !acked || d.has(branch, upTo) {
			continue
		}
		if waited, any := w.waited[branch]; any && !d.has(branch, waited) {
			w.violation("S2: %s is promoted without a commit that was acknowledged (branch %d up to %s)", s.h.name, branch, upTo)
		}
		w.lost += missing(d, branch, upTo)
		delete(w.acked, branch) // counted once
	}
}

// missing is how much of a branch a log lacks.
func missing(d *disk, branch int, upTo wal.LSN) wal.LSN {
	for _, x := range d.log {
		if x.branch == branch {
			return upTo - min(x.end, upTo)
		}
	}
	return recordBytes
}

// checkLag: nobody is promoted who is farther behind what the last leader has
// published than maximum_lag_on_failover.
func (w *World) checkLag(s *server) {
	if w.etcd.revision == 0 || s.h.named > 0 && w.now.sub(s.h.named) < time.Minute {
		return // B-115: a person who names it has no limit
	}
	status := dcs.Snapshot{Revision: w.etcd.revision, Values: map[string]dcs.Value{dcs.KeyStatus: w.etcd.values[dcs.KeyStatus]}}.View().Status
	if behind := int64(status.Optime) - int64(s.disk.end()); behind > w.set.MaxLag+slackLag(w) {
		w.violation("S6: %s is promoted %d bytes behind, and maximum_lag_on_failover is %d", s.h.name, behind, w.set.MaxLag)
	}
}

// slackLag: the status may have been written since the candidate looked.
func slackLag(w *World) int64 { return 20 * w.set.RowBytes }

// checkStream is S3: a log that takes over another's must be its beginning. What
// the servers know, timelines and their ends, has let it through.
func (w *World) checkStream(s, up *server) {
	if !s.disk.isPrefixOf(&up.disk) {
		w.violation("S3: %s at %v streams from %s at %v, and their logs have parted", s.h.name, s.disk.point(), up.h.name, up.disk.point())
	}
}

// checkCopy is S3 for a source of copies: it must not have forked off from the
// newest primary's log.
func (w *World) checkCopy(h *host, source *server) {
	if w.newest == nil || source == w.newest || w.handsOff(source.h) || source.disk.isPrefixOf(&w.newest.disk) {
		return
	}
	if w.newest.alive && w.newest.primary {
		w.violation("S3: %s has copied %s, whose log has parted from that of %s", h.name, source.h.name, w.newest.h.name)
	}
}

// checkWipe is S4: a directory is removed only while another member of the same
// system is the running leader. The agent may know it from a moment ago.
func (w *World) checkWipe(h *host, job ha.BaseBackup) {
	d := &h.server.disk
	if !d.present && d.unfinished == ha.NoWork {
		return
	}
	leader := w.leader()
	if leader == nil || leader == h {
		leader = w.host(job.From.Member)
	}
	switch {
	case leader == nil || leader == h || !leader.server.disk.present:
		w.violation("S4: %s removes its data directory, and nobody else leads", h.name)
	case w.systemID != "" && leader.server.disk.systemID != w.systemID:
		w.violation("S4: %s removes its data directory to copy %s, which is of another system", h.name, leader.name)
	}
}

// checkInitialize is S5: the cluster's identity is written once.
func (w *World) checkInitialize(op dcs.Op) {
	id := string(op.Data)
	switch {
	case op.Delete || id == "":
		if w.systemID != "" {
			w.violation("S5: the initialize key of a living cluster is taken away")
		}
	case w.systemID == "":
		w.systemID = id
	case w.systemID != id:
		w.violation("S5: the cluster %s is made another one, %s", w.systemID, id)
	}
}
