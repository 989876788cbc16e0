package top

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"matriarch/internal/cluster"
)

func (m *Model) note(at time.Time, text string) {
	m.events = append(m.events, event{at, text})
	if len(m.events) > eventsMost {
		m.events = m.events[len(m.events)-eventsMost:]
	}
}

// compare notes what the store tells that it did not tell before.
func (m *Model) compare(at time.Time, before cluster.View, old cluster.Settings) {
	v := m.view
	switch {
	case before.Leader.Name != v.Leader.Name && v.Leader.Name == "":
		m.note(at, before.Leader.Name+" does not lead any more; nobody does")
	case before.Leader.Name != v.Leader.Name && before.Leader.Name == "":
		m.note(at, v.Leader.Name+" leads")
	case before.Leader.Name != v.Leader.Name:
		m.note(at, fmt.Sprintf("%s leads, in the place of %s", v.Leader.Name, before.Leader.Name))
	}
	for _, now := range v.Members {
		was, known := before.Member(now.Name)
		switch {
		case !known:
			m.note(at, now.Name+" has joined")
		case stateOf(was) != stateOf(now):
			m.note(at, fmt.Sprintf("%s: %s, was %s", now.Name, stateOf(now), stateOf(was)))
		}
		if known && was.Timeline != now.Timeline && was.Timeline != 0 && now.Timeline != 0 {
			m.note(at, fmt.Sprintf("%s is on timeline %d, was on %d", now.Name, now.Timeline, was.Timeline))
		}
	}
	for _, was := range before.Members {
		if _, still := v.Member(was.Name); !still {
			m.note(at, was.Name+" has gone from the store")
		}
	}
	if old.Pause != m.settings.Pause {
		m.note(at, map[bool]string{true: "the cluster is paused", false: "the cluster is not paused any more"}[m.settings.Pause])
	}
	if f := v.Failover; f.Requested() && before.Failover.Modified != f.Modified {
		m.note(at, request(f))
	}
}

// compareWords notes what a member tells that it did not tell before, where the
// store is slower or does not say it at all.
func (m *Model) compareWords(before, now Word) {
	if before.Failsafe != now.Failsafe {
		m.note(now.At, now.Name+map[bool]string{true: ": failsafe mode carries the leader", false: ": failsafe mode has ended"}[now.Failsafe])
	}
	if before.Right == nil || now.Right == nil {
		return
	}
	if n := now.Right.Freezes - before.Right.Freezes; n > 0 {
		m.note(now.At, fmt.Sprintf("%s was frozen at the end of its permit, %d times", now.Name, n))
	}
}

func stateOf(m cluster.Member) string {
	if m.Role != cluster.RolePrimary && m.ReplicationState != "" {
		return m.ReplicationState
	}
	return string(m.State)
}

// request says in words what is asked for.
func request(f cluster.Failover) string {
	text := "failover"
	if f.Switchover() {
		text = "switchover"
	}
	if f.Leader != "" {
		text += " from " + f.Leader
	}
	if f.Candidate != "" {
		text += " to " + f.Candidate
	}
	if f.At != "" {
		return text + " at " + f.At
	}
	return text + " is requested"
}

// cause is the last and most telling part of an error, on one line.
func cause(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	if i := strings.LastIndex(text, ": "); i >= 0 {
		return text[i+2:]
	}
	return text
}
