package cases

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"time"

	"matriarch/bench/rto/client"
	"matriarch/bench/rto/cluster"
	"matriarch/bench/rto/figures"
	"matriarch/bench/rto/load"
	"matriarch/bench/rto/report"
)

// Session is a cluster with its client.
type Session struct {
	Cluster *cluster.Cluster
	Client  *client.Client
	Others  *load.Others
	// OthersMay is the share of the processors that others may use at either end of an
	// outage; a run begins when they use less than half of it.
	OthersMay float64
	Log       *slog.Logger
}

// trial is one measurement.
type trial struct {
	session *Session
	old     *cluster.Node // that leads when it begins
	began   time.Time
	strike  time.Time // when it is done to the leader
	back    time.Time // from when the time until it streams again counts
	stream  time.Time // when it streamed again
}

const (
	lookPause  = 20 * time.Millisecond
	lagAllowed = 20 * time.Millisecond // of the client; a run with more is repeated,
	lagShare   = 0.01                  // unless it is less than this share of the outage
	repeats    = 5                     // at most; the last one stays
	lagEdge    = 200 * time.Millisecond

	quietTime  = 2 * time.Second  // for which others have to be quiet
	quietLimit = 15 * time.Minute // then it is measured all the same
	loadEdge   = 500 * time.Millisecond

	pauseWorth = 100 * time.Millisecond // gaps longer than this are summed up
)

// Measure carries a case out. An error is one of the benchmark itself; what the
// cluster did not do in time is in the run.
func (s *Session) Measure(ctx context.Context, c Case) (report.Run, error) {
	for repeated := 0; ; repeated++ {
		run, err := s.measure(ctx, c)
		if err != nil {
			return run, err
		}
		run.Repeated = repeated
		late := run.ClientLag > max(milliseconds(lagAllowed), lagShare*run.Outage)
		if !late && run.Others <= s.OthersMay || repeated == repeats-1 {
			return run, nil
		}
		s.Log.Info("once more: the machine was busy", "client late by ms", run.ClientLag, "share of others", run.Others, "outage ms", run.Outage, "err", run.Error)
	}
}

func (s *Session) measure(ctx context.Context, c Case) (report.Run, error) {
	t := &trial{session: s}
	if err := t.prepare(ctx); err != nil {
		return report.Run{}, err
	}
	run := report.Run{At: time.Now().UTC().Truncate(time.Second), Leader: t.old.Name}
	if !s.Cluster.Setup.Embedded {
		leads, err := t.old.LeadsEtcd(ctx)
		if err != nil {
			return run, err
		}
		run.EtcdLeader = leads
	}
	t.strike = time.Now()
	err := c.do(ctx, t)
	if err == nil && t.stream.IsZero() && !(c.LeaderMayStay && t.leads()) {
		err = t.rejoined(ctx)
	}
	end := time.Now()
	if ctx.Err() != nil {
		return run, ctx.Err()
	}
	if err != nil {
		run.Error = err.Error()
		s.Log.Warn("it did not come about", "case", c.Name, "err", err)
	}
	t.judge(&run, end)
	leader, err := s.Whole(ctx)
	if err != nil {
		return run, err
	}
	run.Successor = leader.Name
	return run, t.count(ctx, leader, &run)
}

// leads reports whether the old leader was the last to acknowledge a row.
func (t *trial) leads() bool {
	var last figures.Attempt
	for _, a := range t.session.Client.Since(t.began) {
		if a.OK && !a.Local && a.Done.After(last.Done) {
			last = a
		}
	}
	return last.Node == t.old.Name
}

// prepare waits for a cluster that is whole, and then for a while that differs from
// run to run: what an agent does every loop_wait is hit at any point of it.
func (t *trial) prepare(ctx context.Context) error {
	pass := time.Duration(t.session.Cluster.Setup.LoopWait) * time.Second
	if _, err := t.session.Whole(ctx); err != nil {
		return err
	}
	if err := until(ctx, time.Now().Add(time.Second+rand.N(pass))); err != nil {
		return err
	}
	if err := t.session.quiet(ctx); err != nil {
		return err
	}
	leader, err := t.session.Whole(ctx)
	if err != nil {
		return err
	}
	t.old = leader
	t.session.Client.Forget()
	t.began = time.Now()
	t.strike = t.began
	return t.await(ctx, limit, "the leader takes rows", func(list []figures.Attempt) bool {
		good := 0
		for _, a := range list {
			if a.OK && a.Node == leader.Name {
				good++
			}
		}
		return good > 20
	})
}

// quiet waits until others leave the machine alone.
func (s *Session) quiet(ctx context.Context) error {
	s.Others.Forget(time.Now().Add(-time.Minute))
	err := look(ctx, lookPause, quietLimit, func() error {
		now := time.Now()
		if share := s.Others.Share(now.Add(-quietTime), now); share > s.OthersMay/2 {
			return fmt.Errorf("others use %.0f %% of the processors", 100*share)
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		s.Log.Warn("measured on a busy machine", "err", err)
		return nil
	}
	return err
}

// Whole waits until the cluster is whole, and returns its primary.
func (s *Session) Whole(ctx context.Context) (*cluster.Node, error) {
	var leader *cluster.Node
	err := look(ctx, 5*lookPause, limit, func() (err error) {
		leader, err = s.Cluster.Whole(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the cluster does not become whole: %w", err)
	}
	return leader, nil
}

// rejoined waits until the old leader streams from another one.
func (t *trial) rejoined(ctx context.Context) error {
	err := look(ctx, lookPause, rejoinTime, func() error {
		for _, n := range t.session.Cluster.Others(t.old) {
			yes, err := n.Streams(ctx, t.old)
			if err != nil {
				return err
			}
			if yes {
				return nil
			}
		}
		return fmt.Errorf("%s streams from nobody", t.old.Name)
	})
	t.stream = time.Now()
	return err
}

// look repeats a look until it gives no error.
func look(ctx context.Context, pause, limit time.Duration, f func() error) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-limited.Done():
			if ctx.Err() != nil { // both have ended, and select chose this one
				return ctx.Err()
			}
			return fmt.Errorf("not within %v: %w", limit, err)
		}
	}
}

// await waits until the record since the strike satisfies a condition.
func (t *trial) await(ctx context.Context, limit time.Duration, what string, condition func([]figures.Attempt) bool) error {
	return look(ctx, lookPause, limit, func() error {
		if !condition(t.session.Client.Since(t.strike)) {
			return fmt.Errorf("%s: no", what)
		}
		return nil
	})
}

// writeInside begins to write to the old leader from within its own network, and
// waits for the first rows. The result stops it.
func (t *trial) writeInside(ctx context.Context) (stop func(), err error) {
	inside, cancel := context.WithCancel(ctx)
	done, err := t.session.Client.Write(inside, client.Target{Node: t.old.Name, URL: t.old.URL(), Dial: t.old.Dial, Local: true})
	if err != nil {
		cancel()
		return nil, err
	}
	stop = func() { cancel(); <-done }
	err = t.await(ctx, limit, "the client inside the node writes", func(list []figures.Attempt) bool {
		_, ok := figures.LastLocal(list)
		return ok
	})
	if err != nil {
		stop()
	}
	return stop, err
}

// judge fills in what the clients saw.
func (t *trial) judge(run *report.Run, end time.Time) {
	list := t.session.Client.Since(t.began)
	gap := figures.LongestGap(list, t.strike, end)
	run.Outage = milliseconds(gap.Length())
	run.Paused = milliseconds(figures.Paused(list, t.strike, end, pauseWorth))
	dual := figures.DualWritable(list)
	run.Dual, run.DualPossible = milliseconds(dual.Proven), milliseconds(dual.Possible)
	if last, ok := figures.LastLocal(list); ok {
		ms := milliseconds(last.Sub(t.strike))
		run.LastLocal = &ms
	}
	if !t.stream.IsZero() && run.Error == "" {
		ms := milliseconds(t.stream.Sub(t.back))
		run.Rejoin = &ms
	}
	run.ClientLag = milliseconds(atEnds(gap, lagEdge, t.session.Client.Lag))
	run.Others = math.Round(1000*atEnds(gap, loadEdge, t.session.Others.Share)) / 1000
}

// atEnds is the greater of what is found about the beginning of a gap and about its
// end.
func atEnds[T cmp.Ordered](gap figures.Gap, edge time.Duration, find func(from, to time.Time) T) T {
	return max(find(gap.Start.Add(-edge), earlier(gap.Start.Add(edge), gap.End.Add(edge))), find(later(gap.End.Add(-edge), gap.Start.Add(-edge)), gap.End.Add(edge)))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// count finds out which of the acknowledged rows are gone.
func (t *trial) count(ctx context.Context, leader *cluster.Node, run *report.Run) error {
	list := t.session.Client.Since(t.began)
	ids, err := leader.Numbers(ctx, "select id from "+client.Table)
	if err != nil {
		return err
	}
	there := map[int64]bool{}
	for _, id := range ids {
		there[id] = true
	}
	run.Lost, run.LostInside = figures.Lost(list, there)
	return nil
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}
