package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"matriarch/internal/cluster"
)

// peerTimeout bounds the question whether a candidate can be promoted.
const peerTimeout = 2 * time.Second

// request is a switchover or a failover that a person asked for.
type request struct {
	action    string // switchover or failover
	leader    string
	candidate string
	at        string // as it was given; empty: now
	scheduled bool
}

func (s *Server) switchover(a *answer, r *http.Request) { s.move(a, r, "switchover") }

func (s *Server) failover(a *answer, r *http.Request) { s.move(a, r, "failover") }

// move hands the leadership over: check, write the failover key, wait for the
// outcome. Texts and their order are compat/rest-api.md §14.1.
func (s *Server) move(a *answer, r *http.Request, action string) {
	doc, ok := a.object(r)
	if !ok {
		return
	}
	req := request{action: action, leader: doc.text("leader"), candidate: doc.text("candidate")}
	if req.candidate == "" {
		req.candidate = doc.text("member")
	}
	view, ok := s.fresh(a, r)
	if !ok {
		return
	}
	settings := s.settings(view)
	if !nothing(doc.fields["scheduled_at"]) {
		req.at, req.scheduled = doc.text("scheduled_at"), true
	}
	if no := req.check(settings, s.wall()); no != nil {
		a.text(no.code, no.text)
		return
	}
	if req.action == "failover" && req.leader != "" {
		s.log.Warn("a failover that names the leader is carried out as a switchover", "leader", req.leader)
		req.action = "switchover"
	}
	if req.leader != "" && req.leader == req.candidate {
		a.text(http.StatusBadRequest, "Switchover target and source are the same")
		return
	}
	if !req.scheduled {
		if text := s.impossible(r.Context(), req, view, settings); text != "" {
			a.text(http.StatusPreconditionFailed, text)
			return
		}
	}
	s.carryOut(a, r, req, view, settings)
}

// nothing reports a value that Patroni takes for none: an older patronictl sends null
// where no time was given.
func nothing(given any) bool {
	switch v := given.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case json.Number:
		n, err := v.Float64()
		return err == nil && n == 0
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// check applies the rules that need no other member.
func (q *request) check(settings cluster.Settings, now time.Time) *refusal {
	bad := func(text string) *refusal { return &refusal{http.StatusBadRequest, text} }
	switch {
	case q.action == "failover" && q.candidate == "":
		return bad("Failover could be performed only to a specific candidate")
	case q.action == "switchover" && q.leader == "":
		return bad("Switchover could be performed only from a specific leader")
	case q.scheduled && q.action == "failover":
		return bad("Failover can't be scheduled")
	case q.scheduled && settings.Pause:
		return bad("Can't schedule switchover in the paused state")
	case q.scheduled:
		at, no := schedule(q.at, "switchover", now)
		if no != nil {
			return no
		}
		q.at = at
	}
	if settings.Pause && q.candidate == "" {
		return bad("Switchover is possible only to a specific candidate in a paused state")
	}
	return nil
}

// impossible says why the request cannot work now, or nothing. There is no check
// of the lag here: whoever asks for a candidate gets it.
func (s *Server) impossible(ctx context.Context, q request, view cluster.View, settings cluster.Settings) string {
	if q.leader != "" && view.Leader.Name != q.leader {
		return "leader name does not match"
	}
	synchronous := settings.Synchronous == "on" && !settings.StandbyCluster
	standby := func(m cluster.Member) bool {
		return view.Sync.Leader != "" && slices.ContainsFunc(view.Sync.Standbys, func(n string) bool { return strings.EqualFold(n, m.Name) })
	}
	var candidates []cluster.Member
	switch {
	case q.candidate != "":
		if q.action == "switchover" && synchronous && !standby(cluster.Member{Name: q.candidate}) {
			return "candidate name does not match with sync_standby"
		}
		m, ok := view.Member(q.candidate)
		if !ok {
			return "candidate does not exists"
		}
		candidates = []cluster.Member{m}
	case synchronous:
		candidates = slices.DeleteFunc(slices.Clone(view.Members), func(m cluster.Member) bool { return !standby(m) })
		if len(candidates) == 0 {
			return q.action + " is not possible: can not find sync_standby"
		}
	default:
		candidates = slices.DeleteFunc(slices.Clone(view.Members), func(m cluster.Member) bool {
			return m.Name == view.Leader.Name || m.APIURL == ""
		})
		if len(candidates) == 0 {
			return q.action + " is not possible: cluster does not have members except leader"
		}
	}
	if !s.anyEligible(ctx, candidates) {
		return q.action + " is not possible: no good candidates have been found"
	}
	return ""
}

// anyEligible asks all at once: one that does not answer must not hold up the
// others.
func (s *Server) anyEligible(ctx context.Context, members []cluster.Member) bool {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	answers := make(chan bool, len(members))
	for _, m := range members {
		go func() { answers <- m.APIURL != "" && s.peers.Eligible(ctx, m.APIURL) }()
	}
	for range members {
		if <-answers {
			return true
		}
	}
	return false
}

func (s *Server) carryOut(a *answer, r *http.Request, q request, view cluster.View, settings cluster.Settings) {
	wait := 2 * max(10*time.Second, settings.LoopWait)
	a.unhurried()
	changed := s.node.Changed()
	revision, err := s.node.RequestFailover(r.Context(), cluster.Failover{Leader: q.leader, Candidate: q.candidate, At: q.at})
	if err != nil {
		s.log.Warn("the failover key could not be written", "err", err)
		a.text(http.StatusServiceUnavailable, "failed to write failover key into DCS")
		return
	}
	if q.scheduled {
		a.text(http.StatusAccepted, "Switchover scheduled")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	code, text := s.outcome(ctx, changed, q, view.Leader.Name, revision)
	a.text(code, text)
}

// outcome waits until the request has been fulfilled or refused. It looks at the
// view whenever that changes, and never at one from before the request.
func (s *Server) outcome(ctx context.Context, changed <-chan struct{}, q request, before string, revision int64) (int, string) {
	title := strings.ToUpper(q.action[:1]) + q.action[1:]
	over := map[string]string{"switchover": "switched over", "failover": "failed over"}[q.action]
	for {
		if view := s.node.Picture().View; view != nil && view.Revision >= revision {
			switch leader := view.Leader.Name; {
			case leader != "" && leader != before && (q.candidate == "" || q.candidate == leader):
				return http.StatusOK, fmt.Sprintf(`Successfully %s to "%s"`, over, leader)
			case leader != "" && leader != before:
				return http.StatusOK, fmt.Sprintf(`%s to "%s" instead of "%s"`, strings.ToUpper(over[:1])+over[1:], leader, q.candidate)
			case !view.Failover.Requested():
				return http.StatusServiceUnavailable, title + " failed"
			}
		}
		select {
		case <-changed:
			changed = s.node.Changed()
		case <-ctx.Done():
			return http.StatusServiceUnavailable, title + " status unknown"
		}
	}
}

// unschedule takes a scheduled switchover back. One that is under way is none.
func (s *Server) unschedule(a *answer, r *http.Request) {
	view, ok := s.fresh(a, r)
	if !ok {
		return
	}
	if !view.Failover.Requested() || view.Failover.At == "" {
		a.text(http.StatusNotFound, "no switchover is scheduled")
		return
	}
	switch err := s.node.ClearFailover(r.Context(), view.Failover.Modified); {
	case errors.Is(err, ErrConflict):
		a.page(http.StatusConflict, "The scheduled switchover was changed meanwhile")
	case err != nil:
		s.log.Warn("the failover key could not be cleared", "err", err)
		a.hangUp()
	default:
		a.text(http.StatusOK, "scheduled switchover deleted")
	}
}
