package etcd

import (
	"context"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"

	"matriarch/internal/dcs"
)

// While etcd has no leader no member answers for all of them, but each tells what it has
// itself: a past that was agreed, only perhaps not all of it. So a node that was cut off
// hears of its successor as soon as it reaches a member that knows of it, and not after
// the election which its own member's return brings about (etcd before 3.5 takes 3 to 4 s
// for it, for its members stand without asking first).
//
// The mirror goes on by that as by a watch that is late, and stays not current: that
// nothing newer is there nobody has said.

// glimpseEvery is the pause between two rounds of looks, glimpseLimit how long one may
// take: a member reads what it has without asking anybody.
const (
	glimpseEvery = 100 * time.Millisecond
	glimpseLimit = 250 * time.Millisecond
)

// glimpses are the looks that go on while the mirror is not current.
type glimpses struct{ end context.CancelFunc }

// begin has them go on, if they do not already.
func (g *glimpses) begin(s *Store) {
	if g.end != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	g.end = cancel
	s.running.Go(func() { s.glimpseLoop(ctx) })
}

// stop ends them. It does not wait for the last one.
func (g *glimpses) stop() {
	if g.end != nil {
		g.end()
		g.end = nil
	}
}

func (s *Store) glimpseLoop(ctx context.Context) {
	again := time.NewTicker(glimpseEvery)
	defer again.Stop()
	for {
		var round sync.WaitGroup
		for _, e := range s.pool.inOrder() {
			round.Go(func() { s.glimpse(ctx, e) })
		}
		round.Wait()
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// glimpse looks at what one member has. The leader key says whether that is worth more:
// what else is new can wait until it is known to be the newest.
func (s *Store) glimpse(ctx context.Context, e *endpoint) {
	conn := e.client.ActiveConnection()
	if conn.GetState() == connectivity.Idle {
		conn.Connect()
	}
	if conn.GetState() != connectivity.Ready {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, glimpseLimit)
	defer cancel()
	if token := s.tokens.had(); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, tokenField, token)
	}
	shown, _ := s.mirror.snapshot()
	// An error says nothing that the linearizable reads beside this do not say as well.
	leader, err := e.kv.Range(ctx, &pb.RangeRequest{Key: s.absolute(dcs.KeyLeader), Serializable: true})
	if err != nil || len(leader.Kvs) == 0 || leader.Kvs[0].ModRevision <= shown.Revision {
		return
	}
	whole := s.wholePrefix()
	whole.Serializable = true
	resp, err := e.kv.Range(ctx, whole)
	if err != nil {
		return
	}
	incarnation, ok := s.guard.sameStore(resp.Header)
	if ok && s.mirror.install(incarnation, resp.Header.Revision, s.values(resp.Kvs)) {
		s.log.Info("a member of etcd tells of a newer leader key", "endpoint", e.url)
	}
}
