package etcd

import (
	"context"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"matriarch/internal/dcs"
)

// Lease is this node's lease as last confirmed.
func (s *Store) Lease() dcs.Lease {
	s.leaseMu.Lock()
	defer s.leaseMu.Unlock()
	return s.held
}

// Renew extends the lease by one keep-alive, or grants one.
func (s *Store) Renew(ctx context.Context, ttl time.Duration) (dcs.Lease, bool, error) {
	if err := s.open(); err != nil {
		return dcs.Lease{}, false, err
	}
	// One at a time: two that find no lease must not make two.
	select {
	case <-s.renewing:
		defer func() { s.renewing <- struct{}{} }()
	case <-ctx.Done():
		return dcs.Lease{}, false, fmt.Errorf("renew the lease: %w", ctx.Err())
	case <-s.ctx.Done():
		return dcs.Lease{}, false, dcs.ErrClosed
	}
	if held := s.Lease(); held.ID != 0 && held.TTL == ttl {
		lease, alive, err := s.keepAlive(ctx, held)
		if err != nil {
			return dcs.Lease{}, false, fmt.Errorf("renew the lease: %w", plain(err))
		}
		if alive {
			s.hold(lease)
			return lease, false, nil
		}
	}
	lease, err := s.grant(ctx, ttl)
	if err != nil {
		return dcs.Lease{}, false, fmt.Errorf("grant a lease: %w", plain(err))
	}
	s.hold(lease)
	return lease, true, nil
}

// keepAlive sends one keep-alive. alive is false when etcd knows no such lease.
func (s *Store) keepAlive(ctx context.Context, held dcs.Lease) (lease dcs.Lease, alive bool, err error) {
	err = s.read(ctx, func(ctx context.Context, e *endpoint) error {
		// Before the request goes out: etcd's timer starts later than this.
		sent := s.cfg.Now()
		stream, err := e.lease.LeaseKeepAlive(ctx)
		if err != nil {
			return err
		}
		if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: held.ID}); err != nil {
			return err
		}
		answer, err := stream.Recv()
		if is(err, rpctypes.ErrGRPCLeaseNotFound) {
			alive = false
			return nil
		}
		if err != nil {
			return err
		}
		_ = stream.CloseSend()
		if _, ok := s.guard.accept(answer.Header); !ok {
			return errStale // a deposed leader extends leases for nobody but itself
		}
		alive = answer.TTL > 0
		lease = dcs.Lease{ID: held.ID, Sent: sent, TTL: held.TTL}
		return nil
	})
	return lease, alive, err
}

// grant makes a new lease. It may be repeated: a lease whose answer was lost
// carries no key and ends by itself.
func (s *Store) grant(ctx context.Context, ttl time.Duration) (lease dcs.Lease, err error) {
	seconds := int64((ttl + time.Second - 1) / time.Second)
	err = s.read(ctx, func(ctx context.Context, e *endpoint) error {
		sent := s.cfg.Now()
		answer, err := e.lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: seconds})
		if err != nil {
			return err
		}
		if _, ok := s.guard.accept(answer.Header); !ok {
			return errStale
		}
		// etcd may give more than was asked for; we rely on what we asked for.
		lease = dcs.Lease{ID: answer.ID, Sent: sent, TTL: ttl}
		return nil
	})
	return lease, err
}

func (s *Store) hold(lease dcs.Lease) {
	s.leaseMu.Lock()
	fresh := s.held.ID != lease.ID
	s.held = lease
	s.leaseMu.Unlock()
	if fresh {
		s.mirror.wake()
	}
}

// forget drops the lease that etcd does not know, unless it was replaced already.
func (s *Store) forget(id int64) {
	s.leaseMu.Lock()
	gone := s.held.ID == id
	if gone {
		s.held = dcs.Lease{}
	}
	s.leaseMu.Unlock()
	if gone {
		s.mirror.wake()
	}
}
