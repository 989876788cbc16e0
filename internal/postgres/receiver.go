package postgres

import (
	"golang.org/x/sys/unix"
)

// watchReceiver announces the end of a standby's walreceiver. PostgreSQL tells
// nobody, and the end of the stream is often the first sign that the primary is
// gone (walreceiver.c: it exits when the connection is lost). pid 0: there is none.
func (s *Server) watchReceiver(pid int) {
	s.mu.Lock()
	old := s.receiver
	if s.closed || old != nil && old.pid == pid && old.alive() || old == nil && pid == 0 {
		s.mu.Unlock()
		return
	}
	s.receiver = nil
	if pid != 0 {
		s.receiver = s.startReceiverWatch(pid)
	}
	s.mu.Unlock()
	if old != nil {
		old.detach()
	}
}

// startReceiverWatch is nil for a process that has ended since it was seen: the
// next look at the server tells.
func (s *Server) startReceiverWatch(pid int) *process {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil
	}
	p, err := s.watchProcess(&process{pid: pid, startedAt: s.clock(), pidfd: pidfd}, func(p *process) {
		s.log.Info("walreceiver has ended", "pid", p.pid)
	})
	if err != nil {
		unix.Close(pidfd)
		return nil
	}
	return p
}
