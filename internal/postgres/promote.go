package postgres

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"matriarch/internal/durable"
	"matriarch/internal/wal"
)

// promotePoll is how often we look whether recovery is over. A promotion takes
// about 20 ms.
const promotePoll = 2 * time.Millisecond

// promoteAgain is when a promotion is asked for again while recovery lasts; see
// Promote.
const promoteAgain = 25 * time.Millisecond

// Promote ends recovery and returns when the server takes writes. The number of
// its new timeline is beyond above.
//
// It does what pg_ctl promote and pg_promote() do, a file and a signal to the
// postmaster, and so needs neither a fork nor a connection that may be stuck.
//
// The request is repeated, because a single one can be slept over. The startup
// process waits for the log on a latch that it resets before it looks for the
// request. If its walreceiver has just failed to connect to the dead primary, it
// sees the request, counts the stream as failed, and then sleeps the rest of
// wal_retrieve_retry_interval on the latch that it has reset already
// (xlogrecovery.c, WaitForWALToBecomeAvailable). Another request sets the latch
// again. What was measured is said at TestPromotionNeverSleeps.
func (s *Server) Promote(ctx context.Context, above wal.Timeline) error {
	if err := s.passOver(ctx, above); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	if err := s.awaitNames(ctx); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	return s.promote(ctx, promoteAgain)
}

// passOver makes PostgreSQL skip the numbers of timelines that others have used
// and that this server knows nothing of. It takes the first number for which there
// is no history file (timeline.c, findNewestTimeLine), so a file without a line is
// put there for each. To a standby such a file is that of a timeline which is not
// its child, and is let lie (xlogrecovery.c, rescanLatestTimeLine).
func (s *Server) passOver(ctx context.Context, above wal.Timeline) error {
	if above == 0 {
		return nil
	}
	status := s.Status(ctx)
	if !status.Answering || status.Timeline == 0 {
		return fmt.Errorf("pass over timelines to %d: the server does not say on which one it is: %w", above, cmp.Or(status.Err, ErrNotRunning))
	}
	cfg := s.cfg()
	for timeline := status.Timeline + 1; timeline <= above; timeline++ {
		path := cfg.data("pg_wal", fmt.Sprintf("%08X.history", uint32(timeline)))
		if _, err := os.Stat(path); err == nil {
			continue
		}
		text := fmt.Sprintf("# timeline %d was another server's, and this one has nothing of it\n", timeline)
		if err := durable.WriteFile(path, []byte(text), fileMode(cfg, path)); err != nil {
			return fmt.Errorf("pass over timeline %d: %w", timeline, err)
		}
		s.log.Info("timeline passed over", "timeline", timeline)
	}
	return nil
}

func (s *Server) promote(ctx context.Context, again time.Duration) error {
	began := s.clock()
	p := s.current()
	if p == nil {
		return fmt.Errorf("promote: %w", ErrNotRunning)
	}
	if standby, err := s.inRecovery(ctx); err == nil && !standby {
		return nil
	}
	if err := s.hearsSignals(ctx, p); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	s.leave(p)
	request := s.cfg().data("promote")
	// A request that stayed behind would be found at the next signal of any kind
	// to the postmaster, when nobody wants it any more.
	defer os.Remove(request)
	if err := askPromotion(p, request); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	if err := s.awaitPromotion(ctx, p, request, again); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	s.setUpstream(nil)
	s.log.Info("promoted", "took", s.clock().Sub(began))
	s.announce()
	return nil
}

func askPromotion(p *process, request string) error {
	if err := os.WriteFile(request, nil, 0o600); err != nil {
		return err
	}
	return p.signal(unix.SIGUSR1)
}

func (s *Server) awaitPromotion(ctx context.Context, p *process, request string, again time.Duration) error {
	tick := time.NewTicker(promotePoll)
	defer tick.Stop()
	repeat := time.NewTicker(again)
	defer repeat.Stop()
	var last error
	for {
		select {
		case <-p.ended:
			return fmt.Errorf("%w: postmaster %d has ended (%s)%s", ErrNotRunning, p.pid, p.exit, s.quoteServer())
		case <-ctx.Done():
			return fmt.Errorf("still in recovery: %w, last answer: %v", ctx.Err(), last)
		case <-repeat.C:
			if err := askPromotion(p, request); err != nil {
				return err
			}
		case <-tick.C:
			var standby bool
			if standby, last = s.inRecovery(ctx); last == nil && !standby {
				return nil
			}
		}
	}
}

func (s *Server) inRecovery(ctx context.Context) (standby bool, err error) {
	err = s.query(ctx, func(ctx context.Context, q querier) error {
		return q.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby)
	})
	return standby, err
}

// Checkpoint asks for one and waits for it. It runs on a connection of its own,
// without a time limit but ctx's, since it may have much to write.
func (s *Server) Checkpoint(ctx context.Context) error {
	conn, err := s.connectLocal(ctx, "Patroni checkpoint", false)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "CHECKPOINT"); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}
