package ctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
)

const (
	settleTime = 5 * time.Second // from the leader's key to a server that takes writes
	rejoinTime = 2 * time.Minute // until the former leader streams, with --wait
)

// watch follows the move itself and shows what is new about it.
func (m *move) watch(ctx context.Context, done func(cluster.View) bool) bool {
	m.startShowing()
	return m.follow(ctx, m.shown, m.progressLine, done)
}

// startShowing begins with what the operator has just seen in the table.
func (m *move) startShowing() {
	if m.shown == nil {
		m.shown = m.progress()
		m.shown.shown = m.progressLine(m.before.view)
	}
}

// progressLine is one line about those whom the move is about.
func (m *move) progressLine(view cluster.View) string {
	leader := view.Leader.Name
	if leader == "" {
		leader = "none"
	}
	parts := []string{"leader: " + leader}
	seen := map[string]bool{"": true}
	for _, name := range []string{m.before.view.Leader.Name, m.candidate, view.Leader.Name} {
		if seen[name] {
			continue
		}
		seen[name] = true
		member, ok := view.Member(name)
		text := name + " is gone"
		if ok {
			text = fmt.Sprintf("%s %s as %s", name, newPicture(m.name, view).state(member), member.Role)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// takesWrites reports that somebody else than before leads, and that its server
// has been promoted.
func (m *move) takesWrites(view cluster.View) bool {
	leader, ok := view.LeaderMember()
	return ok && leader.Name != m.before.view.Leader.Name && leader.State == cluster.StateRunning &&
		(leader.Role == cluster.RolePrimary || leader.Role == cluster.RoleStandbyLeader)
}

// rejoined reports that the former leader streams from the new one. Patroni tells
// since 3.3 whether a member streams; of an older one it is enough to run on the
// new leader's timeline.
func (m *move) rejoined(view cluster.View) bool {
	former, ok := view.Member(m.before.view.Leader.Name)
	leader, led := view.LeaderMember()
	if m.before.view.Leader.Name == "" {
		return true
	}
	tells := slices.ContainsFunc(m.before.view.Members, func(b cluster.Member) bool { return b.ReplicationState != "" })
	follows := former.ReplicationState == cluster.Streaming || !tells && former.Role == cluster.RoleReplica && former.State == cluster.StateRunning
	return ok && led && former.Name != leader.Name && follows && former.Timeline == leader.Timeline
}

// settle waits until the new leader takes writes, and with wait until the old one
// streams. It is bounded; what is then printed is the state as it is.
func (m *move) settle(ctx context.Context, wait bool) {
	limited, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	m.watch(limited, m.takesWrites)
	if !wait {
		return
	}
	limited, cancelWait := context.WithTimeout(ctx, rejoinTime)
	defer cancelWait()
	if !m.watch(limited, m.rejoined) {
		m.warn(fmt.Sprintf("%s does not stream from the new leader yet", m.before.view.Leader.Name))
	}
}

// fallBack writes the request into the store, if nothing has changed there since
// the operator looked: the leader may have got the request after all. Then it
// waits to see who acts on it.
func (m *move) fallBack(ctx context.Context, wait bool) error {
	m.say("%s Could not %s using Patroni api, falling back to DCS\n", m.stamp(), m.action)
	request := cluster.Failover{Leader: m.leader, Candidate: m.candidate}
	if m.at != nil {
		request.At = isoTime(*m.at)
	}
	err := m.commit(ctx, dcs.Txn{
		If:   []dcs.Condition{m.sameLeader(), m.sameRequest()},
		Then: []dcs.Op{{Key: dcs.KeyFailover, Data: request.Encode()}},
	})
	if err != nil && !errors.Is(err, dcs.ErrConflict) {
		return m.unreachable(ctx, m.config, err)
	}
	if _, err := m.read(ctx); err != nil { // the mirror is now as new as the write
		return err
	}
	if err != nil && !m.underWay() {
		return fail("the cluster was changed meanwhile, nothing was requested; look at it again")
	}
	if m.at != nil {
		text := "The request stands in the failover key; no member has confirmed it"
		m.out.add(outcome{Member: m.candidate, Result: resultScheduled, Text: text})
		return m.finish(ctx, text)
	}
	return m.outcome(ctx, wait)
}

func (m *move) sameLeader() dcs.Condition {
	if name := m.before.view.Leader.Name; name != "" {
		return dcs.Condition{Key: dcs.KeyLeader, Equals: []byte(name)}
	}
	return dcs.Condition{Key: dcs.KeyLeader, Absent: true}
}

func (m *move) sameRequest() dcs.Condition {
	if seen := m.before.view.Failover.Modified; seen != 0 {
		return dcs.Condition{Key: dcs.KeyFailover, Modified: seen}
	}
	return dcs.Condition{Key: dcs.KeyFailover, Absent: true}
}

// underWay reports that the store holds this very request, or that the move has
// already come about.
func (m *move) underWay() bool {
	view := m.mirrored()
	f := view.Failover
	return f.Leader == m.leader && f.Candidate == m.candidate || view.Leader.Name != m.before.view.Leader.Name
}

// outcome waits for what comes of a request that was written into the store.
func (m *move) outcome(ctx context.Context, wait bool) error {
	limited, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	var last cluster.View
	ended := m.watch(limited, func(v cluster.View) bool {
		last = v
		return m.takesWrites(v) || v.Leader.Name == m.before.view.Leader.Name && !v.Failover.Requested()
	})
	switch {
	case ctx.Err() != nil:
		return errAborted
	case !ended:
		return m.unknown(last)
	case !m.takesWrites(last):
		m.say("%s failed, details: the request was taken back by the leader\n", title(m.action))
		m.out.add(outcome{Member: m.candidate, Result: resultRefused, Text: "the request was taken back by the leader"})
		m.out.document()
		return &failure{code: m.code(ExitRefused)}
	}
	if wait {
		m.settle(ctx, wait)
	}
	done := map[string]string{"switchover": "switched over", "failover": "failed over"}[m.action]
	text := fmt.Sprintf("Successfully %s to %q", done, last.Leader.Name)
	if m.candidate != "" && last.Leader.Name != m.candidate {
		text = fmt.Sprintf("%s to %q instead of %q", strings.ToUpper(done[:1])+done[1:], last.Leader.Name, m.candidate)
	}
	m.out.add(outcome{Member: last.Leader.Name, Result: resultDone, Text: text})
	return m.finish(ctx, text)
}

func (m *move) unknown(last cluster.View) error {
	what := "the request stands in the failover key and nobody has acted on it; it may still take effect"
	if last.Leader.Name != m.before.view.Leader.Name {
		what = "there is no leader yet that takes writes"
	}
	m.say("%s result unknown, details: %s\n", title(m.action), what)
	m.out.add(outcome{Member: m.candidate, Result: resultUnknown, Text: what})
	m.out.document()
	return &failure{code: m.code(ExitUnknown)}
}
