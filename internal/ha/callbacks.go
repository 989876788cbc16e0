package ha

import (
	"slices"

	"matriarch/internal/cluster"
)

// Event is what a callback tells of, by the name of its key in the configuration.
type Event string

// The events (B-230).
const (
	OnStart      Event = "on_start"
	OnStop       Event = "on_stop"
	OnRestart    Event = "on_restart"
	OnReload     Event = "on_reload"
	OnRoleChange Event = "on_role_change"
)

// Callback is a command of the user's that is due.
type Callback struct {
	Event Event
	Role  cluster.Role // what this member is now
}

// Told is what the user's callbacks have been told so far in this life of the agent.
// Each pass gives the next value of it, and what is due by the difference.
//
// A server comes and goes, and changes its role: of a change that is both, only the
// role is told (B-236). A server that crashed is not said to have been stopped.
//
// A primary is told of only while this member leads: what follows from it, an address
// that moves for example, must not happen for one that is about to be stopped.
type Told struct {
	begun    bool // there was one
	role     cluster.Role
	up       bool // the server is known to be there
	killed   bool // the server is being killed by us
	finished int  // works that had ended at the last look
	reloads  int
}

// Next is what has been told after this pass, and what is due now.
func (t Told) Next(o Observation, plan Plan) (Told, []Callback) {
	ended, reloaded := o.Last.Count != t.finished, o.Server.Reloads != t.reloads
	t.finished, t.reloads = o.Last.Count, o.Server.Reloads
	if o.Job.Work == Bootstrapping || !t.begun && o.Last.Work == Bootstrapping && o.Leadership() != Ours {
		return t, nil // B-233
	}
	var due []Callback
	tell := func(event Event, role cluster.Role) {
		due = append(due, Callback{event, role})
		t.begun, t.role = true, role
	}
	if ended {
		t.workEnded(o, tell)
	}
	if t.up && !o.Server.Running && o.Job.Work == NoWork {
		if t.killed {
			tell(OnStop, t.role)
		}
		t.up = false
	}
	t.killed = t.up && (t.killed || slices.Contains(plan.Do, Action(KillServer{})))
	t.serverThere(o, tell)
	if changed := slices.ContainsFunc(due, func(c Callback) bool { return c.Event == OnRoleChange }); reloaded && t.up && !changed {
		due = append(due, Callback{OnReload, t.role}) // B-240
	}
	return t, due
}

// workEnded tells what follows from the work that has just ended.
func (t *Told) workEnded(o Observation, tell func(Event, cluster.Role)) {
	last := o.Last
	switch {
	case last.Work == StoppingServer && last.Purpose == ForRestart:
		t.up = t.up && last.Failed // the start is told of (B-235)
	case last.Work == StoppingServer && !last.Failed && t.up:
		t.up = false
		role := t.role
		if handedOver := last.Purpose == ForHandOver || last.Purpose == ForAgentEnd; role == cluster.RolePrimary && handedOver && o.Leadership() != Ours {
			role = cluster.RoleDemoted // the key was released before the server was down (B-237)
		}
		tell(OnStop, role)
	case last.started() && last.Failed && t.role == cluster.RolePrimary && o.Leadership() == Ours:
		t.up = false
		tell(OnRoleChange, cluster.RoleDemoted) // B-239
	case last.Work == StartingStandby && !last.Failed && t.begun && t.role != cluster.RoleReplica:
		t.up = true
		tell(OnRoleChange, cluster.RoleReplica) // also before it answers (B-236)
	}
}

// serverThere tells of a server that takes connections, and of its role.
func (t *Told) serverThere(o Observation, tell func(Event, cluster.Role)) {
	s := o.Server
	if o.Job.Work != NoWork || !s.Running || !s.Answering || s.Role == RoleUnknown || s.Frozen {
		return
	}
	role := cluster.RoleReplica
	if s.Role == Primary {
		role = cluster.RolePrimary
	}
	if s.Role == Primary && o.Leadership() != Ours {
		return
	}
	switch event, same := OnStart, role == t.role; {
	case t.begun && !same:
		tell(OnRoleChange, role)
	case !t.up:
		if o.Last.started() && o.Last.Purpose == ForRestart {
			event = OnRestart // B-235
		}
		tell(event, role)
	}
	t.up = true
}
