package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"matriarch/bench/rto/cases"
	"matriarch/bench/rto/client"
	"matriarch/bench/rto/cluster"
	"matriarch/bench/rto/load"
	"matriarch/bench/rto/report"
	"matriarch/bench/rto/world"
)

// measure measures all cases of one setup, on one cluster.
func measure(ctx context.Context, o options, w *world.World, s cluster.Setup, log *slog.Logger) (err error) {
	log = log.With("system", s.System, "setup", s.Name)
	list, err := missing(o, s)
	if err != nil || len(list) == 0 {
		return err
	}
	c, err := cluster.New(w, s, &o.programs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	log.Info("start")
	if err := c.Start(ctx); err != nil {
		return err
	}
	session, end, err := begin(ctx, o, c, w.Group, log)
	if err != nil {
		return err
	}
	defer end()
	for _, k := range list {
		if err := repeat(ctx, o, session, k, log.With("case", k.Name)); err != nil {
			return fmt.Errorf("%s: %w", k.Name, err)
		}
	}
	return nil
}

// missing are the cases that were asked for, fit the setup and are not there yet.
func missing(o options, s cluster.Setup) ([]cases.Case, error) {
	var list []cases.Case
	for _, c := range cases.All() {
		wanted := o.cases == "" || slices.Contains(split(o.cases), c.Name)
		fits := len(s.Cases) == 0 || slices.Contains(s.Cases, c.Name)
		there, err := earlier(o, s, c)
		if err != nil {
			return nil, err
		}
		if wanted && fits && !(c.NoStore && s.Embedded) && len(there) < o.runs {
			list = append(list, c)
		}
	}
	return list, nil
}

// earlier are the runs that -resume keeps.
func earlier(o options, s cluster.Setup, c cases.Case) ([]report.Run, error) {
	if !o.resume {
		return nil, nil
	}
	file, err := report.Read(o.json)
	if err != nil {
		return nil, err
	}
	r := file.Find(s.System, s.Name, c.Name)
	if r == nil || !maps.Equal(r.Versions, o.programs.VersionsOf(s.System)) {
		return nil, nil
	}
	return r.Runs, nil
}

// begin waits for the cluster, makes the table and starts the writers.
func begin(ctx context.Context, o options, c *cluster.Cluster, group string, log *slog.Logger) (*cases.Session, func(), error) {
	writing, cancel := context.WithCancel(ctx)
	session := &cases.Session{Cluster: c, Client: client.New(writing), Others: load.New(group), OthersMay: o.others, Log: log}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := session.Others.Watch(writing); err != nil {
			log.Warn("others are not seen", "err", err)
		}
	}()
	end := func() { cancel(); session.Client.Wait(); <-watched }
	leader, err := session.Whole(ctx)
	if err == nil {
		err = leader.Exec(ctx, "create table "+client.Table+" (id bigint primary key, node text not null)")
	}
	for _, n := range c.Nodes {
		if err == nil {
			_, err = session.Client.Write(writing, client.Target{Node: n.Name, URL: n.URL()})
		}
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return session, end, nil
}

// repeat measures one case as often as asked, and keeps each run at once.
func repeat(ctx context.Context, o options, session *cases.Session, k cases.Case, log *slog.Logger) error {
	setup := session.Cluster.Setup
	result := report.Result{System: setup.System, Setup: setup.Name, Case: k.Name, Machine: report.ThisMachine(), Versions: o.programs.VersionsOf(setup.System)}
	var err error
	if result.Runs, err = earlier(o, setup, k); err != nil {
		return err
	}
	for i := len(result.Runs); i < o.runs; i++ {
		run, err := session.Measure(ctx, k)
		if err != nil {
			return err
		}
		log.Info("measured", "run", i+1, "outage", run.Outage, "dual", run.Dual, "possible", run.DualPossible, "lost", run.Lost, "lost inside", run.LostInside,
			"rejoin", number(run.Rejoin), "last local", number(run.LastLocal), "lag", run.ClientLag, "others", run.Others, "from", run.Leader, "to", run.Successor)
		result.Runs = append(result.Runs, run)
		file, err := report.Read(o.json)
		if err != nil {
			return err
		}
		file.Put(result)
		if err := file.Write(o.json); err != nil {
			return err
		}
	}
	return nil
}

func number(ms *float64) any {
	if ms == nil {
		return "none"
	}
	return *ms
}
