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
	return s.feed(e, stream, answers, broken, token, standing)
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

// feed applies the watch's answers, and probes it when it is silent or when a
// call to the same member went unanswered.
func (s *Store) feed(e *endpoint, stream pb.Watch_WatchClient, answers <-chan *pb.WatchResponse, broken <-chan error,
	token string, standing func()) error {
	look := time.NewTicker(probeAfter / 8)
	defer look.Stop()
	heard, created := time.Now(), false
	silentFrom := heard.Add(s.cfg.RequestTimeout) // the creation is to be answered
	for {
		select {
		case err := <-broken:
			return err
		case answer := <-answers:
			heard, silentFrom = time.Now(), time.Time{}
			if err := s.heed(answer, token); err != nil {
				return err
			}
			if answer.Created && !created {
				created = true
				standing()
			}
		case suspect := <-s.suspects:
			if suspect == e && silentFrom.IsZero() {
				silentFrom = time.Now().Add(s.cfg.RequestTimeout / 2)
				if err := probe(stream); err != nil {
					return err
				}
			}
		case now := <-look.C:
			switch {
			case !silentFrom.IsZero() && now.After(silentFrom):
				return errors.New("the member is silent")
			case silentFrom.IsZero() && now.Sub(heard) >= probeAfter:
				silentFrom = now.Add(s.cfg.RequestTimeout)
				if err := probe(stream); err != nil {
					return err
				}
			}
		}
	}
}

// probe asks the member for a sign of life on the watch itself.
func probe(stream pb.Watch_WatchClient) error {
	request := &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}
	return stream.Send(&pb.WatchRequest{RequestUnion: request})
}

// suspect tells the watch that a call to e was not answered.
func (s *Store) suspect(e *endpoint) {
	select {
	case s.suspects <- e:
	default:
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
