package sim

import (
	"fmt"
	"time"
)

// Result is what a run has come to.
type Result struct {
	Seed       uint64
	Hours      float64       // of the cluster's life, leaps included
	Lived      time.Duration // without the leaps
	Episodes   int
	Faults     int
	Promotions int
	Freezes    int
	Kills      int // by the guard, after a freeze of ttl
	Adoptions  int // by restarted agents
	Elections  int // of etcd
	Commits    int
	Lost       int64         // bytes acknowledged and not shipped, in asynchronous mode
	Steps      int64         // events
	Passes     int           // of agents
	Worst      time.Duration // the longest time without a primary
	AfterHeal  time.Duration // the longest of those counted from the end of the faults
	Broken     string
}

func (w *World) result(episodes int) Result {
	return Result{
		Seed: w.seed, Hours: time.Duration(w.now + w.skipped).Hours(), Lived: time.Duration(w.now), Episodes: episodes, Faults: w.faults,
		Promotions: w.promotions, Freezes: w.freezes, Kills: w.kills, Adoptions: w.adoptions, Elections: w.etcd.changes,
		Commits: w.commits, Lost: int64(w.lost), Steps: w.steps, Passes: w.passes, Worst: w.worst, AfterHeal: w.afterHeal, Broken: w.broken,
	}
}

func (r *Result) add(o Result) {
	r.Hours += o.Hours
	r.Lived += o.Lived
	r.Episodes += o.Episodes
	r.Faults += o.Faults
	r.Promotions += o.Promotions
	r.Freezes += o.Freezes
	r.Kills += o.Kills
	r.Adoptions += o.Adoptions
	r.Elections += o.Elections
	r.Commits += o.Commits
	r.Lost += o.Lost
	r.Steps += o.Steps
	r.Passes += o.Passes
	r.Worst = max(r.Worst, o.Worst)
	r.AfterHeal = max(r.AfterHeal, o.AfterHeal)
}

// Report says it in a few lines.
func (r Result) Report(seeds int, took time.Duration) string {
	return fmt.Sprintf(`%d seeds, %.1f cluster-hours (%v lived, the rest leapt over), %d faults in %d episodes: %.1f faults an hour
%d promotions, %d freezes, %d kills by the guard, %d adoptions by restarted agents, %d elections of etcd
longest time without a primary %v while faults lasted, %v after they had ended; %d bytes of %d commits were lost with asynchronous primaries
%v real: %.0f cluster-hours a minute, %d events, %d passes`,
		seeds, r.Hours, r.Lived.Round(time.Second), r.Faults, r.Episodes, float64(r.Faults)/max(r.Hours, 0.001),
		r.Promotions, r.Freezes, r.Kills, r.Adoptions, r.Elections,
		r.Worst.Round(time.Millisecond), r.AfterHeal.Round(time.Millisecond), r.Lost, r.Commits,
		took.Round(time.Millisecond), r.Hours/took.Minutes(), r.Steps, r.Passes)
}
