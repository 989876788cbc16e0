package demo

import (
	"context"
	"fmt"
	"time"

	"matriarch/internal/cluster"
)

// story is the part that a person came to see.
type story struct {
	demo    *demo
	watch   *watch
	writer  *writer
	picture *picture
	start   func(*node) error

	victim, heir *node
	revision     int64     // of the store when the victim was killed, later: started again
	killed       time.Time // the instant before the first signal
}

// form waits for the cluster: one primary, everybody else streams.
func (s *story) form(ctx context.Context) error {
	ctx, cancel := within(ctx, formLimit, "the cluster did not form")
	defer cancel()
	v, _, err := s.watch.await(ctx, leads)
	if err != nil {
		return err
	}
	s.demo.tell("%s created the cluster and leads; the others copy its data", v.Leader.Name)
	s.demo.result.OldPrimary = v.Leader.Name
	v, _, err = s.watch.await(ctx, func(v cluster.View) bool { return leads(v) && s.othersStream(v, v.Leader.Name, 0) })
	if err != nil {
		return err
	}
	s.demo.result.OldPrimary = v.Leader.Name
	s.demo.tell("both standbys stream from %s", v.Leader.Name)
	return nil
}

// othersStream reports that every node but the leader and those that are down
// streams.
func (s *story) othersStream(v cluster.View, leader string, after int64) bool {
	for _, n := range s.demo.nodes {
		if n.name != leader && n.wanted.Load() && !streams(v, n.name, after) {
			return false
		}
	}
	return true
}

// tell kills the primary's node, watches the failover, brings the node back, and
// counts the rows.
func (s *story) tell(ctx context.Context) error {
	for _, step := range []func(context.Context) error{s.write, s.kill, s.failover, s.follow, s.rejoin, s.count} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	r := s.demo.result
	s.demo.tell("done: no writes for %.1f s, the old primary back in %.1f s, %d rows acknowledged, %d lost",
		float64(r.OutageMS)/1000, float64(r.RejoinMS)/1000, r.RowsAcknowledged, r.RowsLost)
	s.show(ctx)
	return nil
}

// rowsBefore is how many rows are to be seen before something happens.
const rowsBefore = 100

// lookAround is the time that a person has to look at the table.
const lookAround = 4 * time.Second

func (s *story) write(ctx context.Context) error {
	rows, cancel := within(ctx, rowsLimit, "the writer's rows were not taken")
	defer cancel()
	p, err := s.writer.await(rows, func(p progress) bool { return p.acked >= rowsBefore })
	if err != nil {
		return err
	}
	s.demo.tell("a client writes one row after the other, now to %s", s.demo.layout.nodeAt(p.port))
	s.show(ctx)
	if !s.demo.options.Once {
		pause(ctx, lookAround)
	}
	return context.Cause(ctx)
}

// show prints the table where it is not on the screen all the time.
func (s *story) show(ctx context.Context) {
	if !s.demo.screen.live {
		s.demo.screen.Raw(s.picture.text(ctx))
	}
}

func (s *story) kill(ctx context.Context) error {
	v, _ := s.watch.look()
	s.victim = s.demo.node(v.Leader.Name)
	if s.victim == nil {
		return fmt.Errorf("kill the primary: the leader is %q, no node of ours", v.Leader.Name)
	}
	s.demo.result.OldPrimary, s.revision = s.victim.name, v.Revision
	s.killed = time.Now()
	count, err := s.victim.kill(ctx)
	if err != nil {
		return err
	}
	s.demo.tell("killed %s: its agent, PostgreSQL and its part of the store, %d processes, all at once by SIGKILL", s.victim.name, count)
	s.demo.tell("times are counted from the kill now; another may lead when the permit of %s, %s long, has surely ended",
		s.victim.name, cluster.DefaultSettings().Permit)
	return nil
}

func (d *demo) node(name string) *node {
	for _, n := range d.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// step tells what happened how long after the kill.
func (s *story) step(at time.Time, format string, args ...any) {
	s.demo.screen.Say(fmt.Sprintf("  +%6.2f s  ", at.Sub(s.killed).Seconds()) + fmt.Sprintf(format, args...))
}

func (s *story) failover(ctx context.Context) error {
	ctx, cancel := within(ctx, failoverLimit, "no standby took over")
	defer cancel()
	p, err := s.writer.await(ctx, func(p progress) bool { return !p.broken.IsZero() })
	if err != nil {
		return err
	}
	s.step(p.broken, "the client's connection broke, after %d acknowledged rows", p.acked)
	v, at, err := s.watch.await(ctx, func(v cluster.View) bool { return v.Leader.Name != "" && v.Leader.Name != s.victim.name })
	if err != nil {
		return err
	}
	s.heir = s.demo.node(v.Leader.Name)
	s.demo.result.NewPrimary = v.Leader.Name
	s.step(at, "elected: %s took the leader key over", v.Leader.Name)
	return s.promoted(ctx)
}

// promoted waits for the new primary's word and for the first row that it takes.
// Whichever comes first, promotion is told first.
func (s *story) promoted(ctx context.Context) error {
	v, at, err := s.watch.await(ctx, leads)
	if err != nil {
		return err
	}
	m, _ := v.LeaderMember()
	s.demo.result.Timeline = uint32(m.Timeline)
	p, err := s.writer.await(ctx, func(p progress) bool { return p.broken.IsZero() && p.gap > 0 })
	if err != nil {
		return err
	}
	if p.resumed.Before(at) {
		at = p.resumed // it took a row before its announcement was seen
	}
	s.step(at, "promoted: %s takes writes, on timeline %d", v.Leader.Name, uint32(m.Timeline))
	s.step(p.resumed, "first write: acknowledged by %s, %.2f s after the last one", s.demo.layout.nodeAt(p.resumedPort), p.gap.Seconds())
	s.demo.result.OutageMS = p.gap.Milliseconds()
	return nil
}

// follow waits for the standby that was left.
func (s *story) follow(ctx context.Context) error {
	ctx, cancel := within(ctx, rejoinLimit, "the remaining standby does not follow the new primary")
	defer cancel()
	_, at, err := s.watch.await(ctx, func(v cluster.View) bool { return leads(v) && s.othersStream(v, v.Leader.Name, s.revision) })
	if err != nil {
		return err
	}
	s.step(at, "the other standby follows %s", s.heir.name)
	s.show(ctx)
	return nil
}

// rejoin starts the killed node again, as its init system would.
func (s *story) rejoin(ctx context.Context) error {
	ctx, cancel := within(ctx, rejoinLimit, "the old primary did not come back as a standby")
	defer cancel()
	v, _ := s.watch.look()
	s.revision = v.Revision
	began := time.Now()
	if err := s.start(s.victim); err != nil {
		return err
	}
	s.step(began, "the agent of %s is started again", s.victim.name)
	v, at, err := s.watch.await(ctx, func(v cluster.View) bool { return leads(v) && streams(v, s.victim.name, s.revision) })
	if err != nil {
		return err
	}
	s.demo.result.RejoinMS = at.Sub(began).Milliseconds()
	m, _ := v.LeaderMember()
	how := cameBack(s.victim.said())
	if how != "" {
		how = "was " + how + ", "
	}
	s.step(at, "old primary back: %s %sstreams from %s on timeline %d, %.1f s after its start",
		s.victim.name, how, m.Name, uint32(m.Timeline), at.Sub(began).Seconds())
	s.demo.result.NewPrimary, s.demo.result.Timeline = m.Name, uint32(m.Timeline)
	return nil
}

// count looks for every acknowledged row on the new primary, and for rows on the
// others that it does not have.
func (s *story) count(ctx context.Context) error {
	ctx, cancel := within(ctx, rowsLimit, "the standbys did not replay the rows")
	defer cancel()
	acknowledged := s.writer.acknowledged()
	lost, there, err := s.demo.layout.countLost(ctx, acknowledged)
	if err != nil {
		return fmt.Errorf("count the rows: %w", err)
	}
	s.demo.result.RowsAcknowledged, s.demo.result.RowsLost = len(acknowledged), lost
	for _, n := range s.demo.nodes {
		if err := s.demo.layout.sameRows(ctx, n, last(acknowledged), there); err != nil {
			return err
		}
	}
	s.demo.tell("all three nodes have the same rows")
	return nil
}
