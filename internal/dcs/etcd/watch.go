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
	var meanwhile glimpses
	defer meanwhile.stop()
	away := false // the try before found nobody
	for s.ctx.Err() == nil {
		var since time.Time
		e, revision, err := s.readSomewhere(away)
		if err == nil {
			err = s.watchFrom(s.ctx, e, revision, func() {
				since = time.Now()
				meanwhile.stop()
				s.mirror.setCurrent(true)
				s.log.Info("watching etcd", "endpoint", e.url)
				s.discoverSoon()
			})
		}
		if errors.Is(err, errHome) {
			away = false // it alone is asked, not whoever answers first
			continue     // the mirror stays current: the member at home has just answered
		}
		s.mirror.setCurrent(false)
		if s.ctx.Err() != nil {
			return
		}
		meanwhile.begin(s)
		if !since.IsZero() {
			s.log.Warn("the watch of etcd broke", "endpoint", e.url, "err", plain(err))
		}
		s.pool.failed(e)
		// The first try after a watch that had stood follows at once, at another
		// member. One that never stands for long is not a success.
		if time.Since(since) > longestPause && !since.IsZero() {
			pause.reset()
			away = false
			continue
		}
		away = true
		pause.wait(s.ctx)
	}
}

// readSomewhere reads the prefix at the member in use. While etcd is away all members
// are asked at once, and the first to answer is watched: on a node that was cut off its
// own member is there, and silent for want of the others, and asked in turn each such
// member would cost its whole time before one that has come back is tried.
func (s *Store) readSomewhere(all bool) (*endpoint, int64, error) {
	list := s.pool.inOrder()
	if !all {
		revision, err := s.readAt(s.ctx, list[0])
		return list[0], revision, err
	}
	type answer struct {
		from     *endpoint
		revision int64
		err      error
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	answers := make(chan answer, len(list))
	for _, e := range list {
		s.running.Go(func() {
			revision, err := s.readAt(ctx, e)
			answers <- answer{e, revision, err}
		})
	}
	var last answer
	for range list {
		if last = <-answers; last.err == nil {
			s.pool.works(last.from)
			break
		}
	}
	return last.from, last.revision, last.err
}

// readAt reads the prefix at one member, and returns the revision of the read.
func (s *Store) readAt(ctx context.Context, e *endpoint) (revision int64, err error) {
	err = s.once(ctx, e, true, func(ctx context.Context, e *endpoint) error {
		revision, err = s.fetch(ctx, e)
		return err
	})
	return revision, err
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
	broken := make(chan error, 2)
	s.running.Go(func() {
		broken <- receive(ctx, stream, answers)
	})
	if home := s.pool.atHome(); home != nil && home != e {
		s.running.Go(func() {
			if s.awaitHome(ctx, home) {
				broken <- errHome
			}
		})
	}
	return s.feed(e, stream, answers, broken, token, standing)
}

var errHome = errors.New("this node's own member is back")

// awaitHome waits until the member at home answers like one of a majority, or ctx ends.
func (s *Store) awaitHome(ctx context.Context, home *endpoint) bool {
	look := time.NewTicker(probeAfter)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-look.C:
			if _, err := s.readAt(ctx, home); err == nil {
				return true
			}
		}
	}
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
