package ha

import (
	"slices"
	"testing"

	"matriarch/internal/cluster"
)

// A scene of a story is what one pass sees, with the callbacks that are due then.
type scene struct {
	name string // empty: the story goes on
	see  func(*Observation)
	kill bool // the pass kills the server
	want []string
}

// played plays a story on a node.
func played(t *testing.T, start func() Observation, scenes ...scene) {
	t.Helper()
	o, so := start(), Told{}
	for i, s := range scenes {
		if s.see != nil {
			s.see(&o)
		}
		var plan Plan
		if s.kill {
			plan.Do = []Action{KillServer{}}
		}
		var due []Callback
		so, due = so.Next(o, plan)
		var got []string
		for _, c := range due {
			got = append(got, string(c.Event)+" "+string(c.Role))
		}
		if !slices.Equal(got, s.want) {
			t.Errorf("scene %d, %s: due are %q, want %q", i, s.name, got, s.want)
		}
		if again, due := so.Next(o, Plan{}); len(due) > 0 || again != so && !s.kill {
			t.Errorf("scene %d, %s: the same again calls for %v", i, s.name, due)
		}
	}
}

func seen(name string, see func(*Observation), want ...string) scene {
	return scene{name: name, see: see, want: want}
}

// The changes that stories are made of.
var (
	noMore = func(o *Observation) { o.Server.Running, o.Server.Answering, o.Server.Role = false, false, RoleUnknown }
	begun  = func(w Work, p Purpose) func(*Observation) {
		return func(o *Observation) { o.Job = Job{Work: w, Purpose: p} }
	}
	done = func(failed bool) func(*Observation) {
		return func(o *Observation) {
			o.Last = Finished{Count: o.Last.Count + 1, Work: o.Job.Work, Purpose: o.Job.Purpose, Failed: failed}
			o.Job = Job{}
			switch o.Last.Work {
			case StoppingServer:
				noMore(o)
			case StartingPrimary, StartingStandby:
				if !failed {
					o.Server.Running, o.Server.Answering, o.Server.Role = true, true, Primary
				}
				if o.Last.Work == StartingStandby && !failed {
					o.Server.Role = Standby
				}
			}
		}
	}
	lost = func(o *Observation) {
		o.Right, o.Store.View.Leader = Right{FreeIn: quietly}, cluster.Leader{Name: "n2", Lease: leaseID + 1, Modified: 9}
	}
	won = func(o *Observation) {
		o.Right, o.Store.View.Leader = leading(), cluster.Leader{Name: o.Me.Name, Modified: 9}
	}
	together = func(changes ...func(*Observation)) func(*Observation) {
		return func(o *Observation) {
			for _, c := range changes {
				c(o)
			}
		}
	}
)

func TestARunningServerIsToldOfOnce(t *testing.T) {
	played(t, leader, seen("the agent comes to a primary (B-234)", nil, "on_start primary"), seen("later", nil))
	played(t, standby, seen("the agent comes to a standby (B-234)", nil, "on_start replica"), seen("later", nil))
	played(t, standby, seen("it does not answer yet", func(o *Observation) { o.Server.Answering = false }),
		seen("it does", func(o *Observation) { o.Server.Answering = true }, "on_start replica"))
}

func TestAPrimaryIsToldOfOnlyWhileItLeads(t *testing.T) {
	played(t, func() Observation {
		o := leader()
		lost(&o)
		return o
	}, seen("another leads", nil), seen("it leads", won, "on_start primary"))
}

func TestCreatingAClusterIsToldAtItsEnd(t *testing.T) {
	played(t, leader,
		seen("work on it (B-233)", together(begun(Bootstrapping, ForNothing), func(o *Observation) { o.Right, o.Store.View.Leader = Right{}, cluster.Leader{} })),
		seen("created, and not led yet", done(false)),
		seen("it leads", won, "on_start primary"))
}

func TestAPromotionIsAChangeOfRole(t *testing.T) {
	played(t, standby, seen("a standby", nil, "on_start replica"),
		seen("elected", won),
		seen("on the way", begun(Promoting, ForNothing)),
		seen("promoted (B-238)", together(done(false), func(o *Observation) { o.Server.Role = Primary }), "on_role_change primary"))
}

func TestASwitchoverStopsAndChangesTheRole(t *testing.T) {
	for _, released := range []bool{false, true} {
		stopped := "on_stop primary" // B-237
		end := done(false)
		if released {
			stopped, end = "on_stop demoted", together(lost, done(false))
		}
		played(t, leader, seen("a primary", nil, "on_start primary"),
			seen("stopping", begun(StoppingServer, ForHandOver)),
			seen("stopped", end, stopped),
			seen("starting", together(lost, begun(StartingStandby, ForNothing))),
			seen("started: the role alone (B-236)", done(false), "on_role_change replica"),
			seen("later", nil))
	}
}

func TestANewRoleIsToldBeforeTheServerAnswers(t *testing.T) {
	played(t, leader, seen("a primary", nil, "on_start primary"),
		seen("stopping", begun(StoppingServer, ForDemotion)),
		seen("stopped", done(false), "on_stop primary"),
		seen("starting", together(lost, begun(StartingStandby, ForNothing))),
		seen("started, and not consistent yet", together(done(false), func(o *Observation) { o.Server.Answering, o.Server.Role = false, RoleUnknown }), "on_role_change replica"),
		seen("it answers", func(o *Observation) { o.Server.Answering, o.Server.Role = true, Standby }))
}

func TestAServerThatCrashedWasNotStopped(t *testing.T) {
	played(t, leader, seen("a primary", nil, "on_start primary"),
		seen("it crashed", noMore),
		seen("starting", begun(StartingPrimary, ForNothing)),
		seen("started in the same role", done(false), "on_start primary"))
	played(t, standby, seen("a standby", nil, "on_start replica"),
		seen("it crashed", noMore),
		seen("starting", begun(StartingStandby, ForNothing)),
		seen("started in the same role", done(false), "on_start replica"))
}

func TestAFailedRecoveryDemotes(t *testing.T) {
	played(t, leader, seen("a primary", nil, "on_start primary"),
		seen("it crashed", noMore),
		seen("starting", begun(StartingPrimary, ForNothing)),
		seen("it cannot start (B-239)", done(true), "on_role_change demoted"),
		seen("another leads, starting as its standby", together(lost, begun(StartingStandby, ForNothing))),
		seen("it fails again", done(true)),
		seen("starting", begun(StartingStandby, ForNothing)),
		seen("it follows", done(false), "on_role_change replica"))
}

func TestAKilledPrimaryWasStopped(t *testing.T) {
	played(t, leader, seen("a primary", nil, "on_start primary"),
		scene{name: "overtaken", see: lost, kill: true},
		seen("killed", noMore, "on_stop primary"),
		seen("starting", begun(StartingStandby, ForNothing)),
		seen("it follows", done(false), "on_role_change replica"))
}

func TestTheEndOfTheAgentIsAStop(t *testing.T) {
	played(t, standby, seen("a standby", nil, "on_start replica"),
		seen("stopping", begun(StoppingServer, ForAgentEnd)),
		seen("stopped", done(false), "on_stop replica"))
}

func TestAReloadIsToldUnlessTheRoleChanges(t *testing.T) {
	reload := func(o *Observation) { o.Server.Reloads++ }
	played(t, standby, seen("before the first look", reload, "on_start replica", "on_reload replica"),
		seen("a reload (B-240)", reload, "on_reload replica"),
		seen("promoted, and reloaded with it", together(won, reload, func(o *Observation) { o.Server.Role = Primary }), "on_role_change primary"),
		seen("the server is down", together(noMore, reload)))
}

func TestARestartIsToldAsOne(t *testing.T) {
	played(t, leader, seen("a primary", nil, "on_start primary"),
		seen("stopping", begun(StoppingServer, ForRestart)),
		seen("stopped (B-235)", done(false)),
		seen("starting", begun(StartingPrimary, ForRestart)),
		seen("started", done(false), "on_restart primary"),
		seen("it crashed", noMore),
		seen("starting", begun(StartingPrimary, ForNothing)),
		seen("started by itself", done(false), "on_start primary"))
	played(t, leader, seen("a primary", nil, "on_start primary"),
		seen("stopping", begun(StoppingServer, ForRestart)),
		seen("stopped", done(false)),
		seen("another leads, starting as its standby", together(lost, begun(StartingStandby, ForRestart))),
		seen("started: the role alone (B-236)", done(false), "on_role_change replica"))
}
