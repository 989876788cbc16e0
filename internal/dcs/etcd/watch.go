package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// watchLoop keeps the mirror fed until the store is closed: read, watch, and
// when the watch breaks, the same again at another member.
func (s *Store) watchLoop() {
	var pause pauses
	for s.ctx.Err() == nil {
		e := s.pool.inOrder()[0]
		var since time.Time
		err := s.watch(e, func() {
			since = time.Now()
			s.mirror.setCurrent(true)
			s.log.Info("watching etcd", "endpoint", e.url)
			s.discoverSoon()
		})
		s.mirror.setCurrent(false)
		if s.ctx.Err() != nil {
			return
		}
		if !since.IsZero() {
			s.log.Warn("the watch of etcd broke", "endpoint", e.url, "err", plain(err))
		}
		s.pool.failed(e)
		// The first try after a watch that had stood follows at once, at another
		// member. One that never stands for long is not a success.
		if time.Since(since) > longestPause && !since.IsZero() {
			pause.reset()
			continue
		}
		pause.wait(s.ctx)
	}
}

// watch reads the prefix from e and watches it from that revision on. It returns
// when the watch breaks; standing is called once it stands.
func (s *Store) watch(e *endpoint, standing func()) error {
	var revision int64
	err := s.once(s.ctx, e, true, func(ctx context.Context, e *endpoint) error {
		var err error
		revision, err = s.fetch(ctx, e)
		return err
	})
	if err != nil {
		return err
	}
	return s.watchFrom(s.ctx, e, revision, standing)
}

func (s *Store) watchFrom(ctx context.Context, e *endpoint, revision int64, standing func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	token, err := s.tokens.get(ctx, e)
	if err != nil {
		return err
	}
	stream, err := e.watch.Watch(outgoing(ctx, token))
	if err != nil {
		return err
	}
	request := &pb.WatchCreateRequest{
		Key:           []byte(s.cfg.Prefix),
		RangeEnd:      rangeEnd(s.cfg.Prefix),
		StartRevision: revision,
	}
	if err := stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: request}}); err != nil {
		return err
	}

	answers := make(chan *pb.WatchResponse)
	broken := make(chan error, 1)
	s.running.Go(func() {
		broken <- receive(ctx, stream, answers)
	})
	return s.feed(stream, answers, broken, token, standing)
}

// receive passes on what the stream brings until it breaks.
func receive(ctx context.Context, stream pb.Watch_WatchClient, answers chan<- *pb.WatchResponse) error {
	for {
		answer, err := stream.Recv()
		if err != nil {
			return err
		}
		select {
		case answers <- answer:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// feed applies the watch's answers, and probes it when it is silent.
func (s *Store) feed(stream pb.Watch_WatchClient, answers <-chan *pb.WatchResponse, broken <-chan error,
	token string, standing func()) error {
	look := time.NewTicker(probeAfter / 4)
	defer look.Stop()
	heard, created := time.Now(), false
	for {
		select {
		case err := <-broken:
			return err
		case answer := <-answers:
			heard = time.Now()
			if err := s.heed(answer, token); err != nil {
				return err
			}
			if answer.Created && !created {
				created = true
				standing()
			}
		case <-look.C:
			silence := time.Since(heard)
			if silence > probeAfter+s.cfg.RequestTimeout || !created && silence > s.cfg.RequestTimeout {
				return errors.New("the member is silent")
			}
			if silence >= probeAfter {
				probe := &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}
				if err := stream.Send(&pb.WatchRequest{RequestUnion: probe}); err != nil {
					return err
				}
			}
		}
	}
}

// heed takes in one answer of the watch.
func (s *Store) heed(answer *pb.WatchResponse, token string) error {
	if answer.Canceled {
		if answer.CompactRevision != 0 {
			return fmt.Errorf("the revision to watch from was compacted away, the first left is %d", answer.CompactRevision)
		}
		s.tokens.drop(token) // in case that was the reason
		return fmt.Errorf("etcd ended the watch: %s", answer.CancelReason)
	}
	incarnation, ok := s.guard.accept(answer.Header)
	if !ok {
		return errStale
	}
	if len(answer.Events) == 0 {
		return nil // a probe's answer: its revision is not relied upon
	}
	changes := make([]change, 0, len(answer.Events))
	var last int64
	for _, event := range answer.Events {
		c := change{key: s.relative(event.Kv.Key), modified: event.Kv.ModRevision}
		if event.Type != mvccpb.DELETE {
			v := value(event.Kv)
			c.value = &v
		}
		last = max(last, c.modified)
		changes = append(changes, c)
	}
	s.mirror.follow(incarnation, last, changes)
	return nil
}
