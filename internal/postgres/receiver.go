package postgres

import (
	"slices"

	"golang.org/x/sys/unix"
)

// watchStreams announces the end of processes of the server that stream: a standby's
// walreceiver, and the walsenders for which commits wait. PostgreSQL tells nobody, and
// the end of the stream is often the first sign that the other side is gone
// (walreceiver.c: it exits when the connection is lost).
func (s *Server) watchStreams(pids []int) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	var gone []*process
	for pid, p := range s.streams {
		if !slices.Contains(pids, pid) || !p.alive() {
			gone = append(gone, p)
			delete(s.streams, pid)
		}
	}
	for _, pid := range pids {
		if s.streams[pid] != nil {
			continue
		}
		if p := s.startStreamWatch(pid); p != nil {
			s.streams[pid] = p
		}
	}
	s.mu.Unlock()
	for _, p := range gone {
		p.detach()
	}
}

// streamsOf are the processes whose end is worth a look.
func streamsOf(status Status) (pids []int) {
	if status.Receiver != nil {
		pids = append(pids, status.Receiver.PID)
	}
	for _, r := range status.Replication {
		if r.SyncState == "sync" || r.SyncState == "quorum" {
			pids = append(pids, r.PID)
		}
	}
	return pids
}

// startStreamWatch is nil for a process that has ended since it was seen: the next look
// at the server tells.
func (s *Server) startStreamWatch(pid int) *process {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil
	}
	p, err := s.watchProcess(&process{pid: pid, startedAt: s.clock(), pidfd: pidfd}, func(p *process) {
		s.log.Info("a stream has ended", "pid", p.pid)
	})
	if err != nil {
		unix.Close(pidfd)
		return nil
	}
	return p
}
