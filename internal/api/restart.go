package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"matriarch/internal/cluster"
)

// Restarter is what a Node implements as well if its server can be restarted on
// request.
type Restarter interface {
	// Restart restarts the server and returns when it accepts connections again, or
	// when the restart was refused or failed (B-700 to B-702). When ctx ends, only the
	// waiting ends: a client that goes away must not leave a server down. Allowed in
	// pause (B-512). R.At is empty.
	//
	// The conditions of R are checked first: ErrConditions. Other long work that is
	// under way: *Busy. The server does not accept connections within R.Timeout, or
	// primary_start_timeout where that is 0: ErrStillStarting, and it may yet come up.
	// The restart was tried and the server is down: ErrRestart. Anything else means
	// that it was not tried.
	Restart(ctx context.Context, r Restart) error

	// ScheduleRestart keeps R for the moment R.At, in this node's memory and in its
	// member key (B-690). ErrScheduled: one is kept already. Whether the conditions
	// are met is seen when it is due; it is dropped after the attempt whatever came of
	// it, and without one when the server was restarted meanwhile (B-691). Nothing is
	// due in pause, without a leader, or while long work is under way.
	ScheduleRestart(ctx context.Context, r Restart) error

	// UnscheduleRestart drops the one that is kept. False: there is none.
	UnscheduleRestart(ctx context.Context) (dropped bool)
}

// Restart is a request to restart the server, now or at a time.
type Restart struct {
	At string // ISO 8601 with the offset that was given; empty: now

	// The conditions. Each counts if it is set, and all of them must be met.
	Role    cluster.Role // the node's role: primary, standby_leader or replica
	Below   int          // server_version_num must be less than this
	Pending bool         // a restart is pending

	Version string        // Below as it was given, to be shown
	Timeout time.Duration // for the start, in whole seconds; 0: primary_start_timeout
}

// What can come of a restart, beside success.
var (
	ErrConditions    = errors.New("the conditions of the restart are not met")
	ErrStillStarting = errors.New("the server is still starting")
	ErrRestart       = errors.New("the server could not be restarted")
	ErrScheduled     = errors.New("another restart is scheduled already")
)

// scheduledRestart is the form in which a restart that is kept is shown.
type scheduledRestart struct {
	At      string       `json:"schedule"`
	Role    cluster.Role `json:"role,omitempty"`
	Version string       `json:"postgres_version,omitempty"`
	Timeout int64        `json:"timeout,omitempty"` // seconds
	Pending bool         `json:"restart_pending,omitempty"`
	Started any          `json:"postmaster_start_time"`
}

// Published is the restart as it goes into the member key. Started is since when the
// server runs, by which its users see that it was restarted meanwhile; zero: it does
// not run.
func (r Restart) Published(started time.Time) json.RawMessage {
	out := scheduledRestart{At: r.At, Role: r.Role, Version: r.Version, Timeout: int64(r.Timeout / time.Second), Pending: r.Pending}
	if !started.IsZero() {
		out.Started = pythonTime(started)
	}
	return cluster.EncodeJSON(out)
}

// shown is a published restart as the status document has it: without the start of
// the postmaster.
func shown(published json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(published, &fields) != nil || fields["postmaster_start_time"] == nil {
		return published
	}
	delete(fields, "postmaster_start_time")
	return cluster.EncodeJSON(fields)
}

func (s *Server) restart(a *answer, r *http.Request) {
	node, ok := s.node.(Restarter)
	if !ok {
		a.unsupported(r)
		return
	}
	given, ok := a.optional(r)
	if !ok {
		return
	}
	view, ok := s.fresh(a, r)
	if !ok {
		return
	}
	if given.has("schedule") && s.settings(view).Pause {
		a.text(http.StatusInternalServerError, "Can't schedule restart in the paused state")
		return
	}
	request, no := readRestart(given, s.wall())
	switch {
	case no != nil:
		a.text(no.code, no.text)
	case request.At != "":
		s.scheduleRestart(a, r, node, request)
	default:
		a.unhurried()
		err := node.Restart(r.Context(), request)
		if err != nil {
			s.log.Warn("a restart was asked for and is not done", "err", err)
		}
		code, text := outcomeOfRestart(err)
		a.text(code, text)
	}
}

// outcomeOfRestart is what the client is told.
func outcomeOfRestart(err error) (code int, text string) {
	var busy *Busy
	switch {
	case err == nil:
		return http.StatusOK, "restarted successfully"
	case errors.Is(err, ErrConditions):
		return http.StatusServiceUnavailable, "restart conditions are not satisfied"
	case errors.As(err, &busy):
		return http.StatusServiceUnavailable, busy.Error()
	case errors.Is(err, ErrStillStarting):
		return http.StatusServiceUnavailable, "postgres is still starting"
	case errors.Is(err, ErrRestart):
		return http.StatusServiceUnavailable, "restart failed"
	}
	return http.StatusBadRequest, "restart failed"
}

func (s *Server) scheduleRestart(a *answer, r *http.Request, node Restarter, request Restart) {
	switch err := node.ScheduleRestart(r.Context(), request); {
	case errors.Is(err, ErrScheduled):
		a.text(http.StatusConflict, "Another restart is already scheduled")
	case err != nil:
		s.log.Error("a restart could not be scheduled", "err", err)
		a.page(http.StatusInternalServerError, "The restart could not be scheduled")
	default:
		a.text(http.StatusAccepted, "Restart scheduled")
	}
}

func (s *Server) unscheduleRestart(a *answer, r *http.Request) {
	node, ok := s.node.(Restarter)
	switch {
	case !ok:
		a.unsupported(r)
	case node.UnscheduleRestart(r.Context()):
		a.text(http.StatusOK, "scheduled restart deleted")
	default:
		a.text(http.StatusNotFound, "no restarts are scheduled")
	}
}

// readRestart checks the fields in the order in which they were given, as Patroni
// does: the first fault is the answer.
func readRestart(given body, now time.Time) (out Restart, no *refusal) {
	for _, name := range given.order {
		switch name {
		case "schedule":
			out.At, no = schedule(given.text(name), "restart", now)
		case "role":
			out.Role = cluster.Role(given.text(name))
			if out.Role != cluster.RolePrimary && out.Role != cluster.RoleStandbyLeader && out.Role != cluster.RoleReplica {
				no = &refusal{http.StatusBadRequest, "PostgreSQL role should be either primary, standby_leader, or replica"}
			}
		case "postgres_version":
			out.Version = given.text(name)
			out.Below, no = versionNumber(out.Version)
		case "timeout":
			seconds, ok := parseSeconds(given.text(name))
			if !ok || seconds <= 0 {
				no = &refusal{http.StatusBadRequest, "Timeout should be a positive number of seconds"}
			}
			out.Timeout = time.Duration(seconds) * time.Second
		case "restart_pending":
			out.Pending = true // that it is there is enough, as in Patroni
		default:
			no = &refusal{http.StatusBadRequest, "Unknown filter for the scheduled restart: " + name}
		}
		if no != nil {
			return Restart{}, no
		}
	}
	return out, nil
}

// versionNumber turns 15.2 into 150002 and 9.6.24 into 90624, as server_version_num
// counts.
func versionNumber(text string) (int, *refusal) {
	parts := strings.Split(text, ".")
	numbers := make([]int, len(parts))
	for i, part := range parts {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 0 || n > 9999 {
			return 0, &refusal{http.StatusBadRequest, fmt.Sprintf("Invalid PostgreSQL version: %s", text)}
		}
		numbers[i] = n
	}
	switch {
	case len(numbers) == 2 && numbers[0] >= 10:
		return numbers[0]*10000 + numbers[1], nil
	case len(numbers) == 3:
		return numbers[0]*10000 + numbers[1]*100 + numbers[2], nil
	}
	return 0, &refusal{http.StatusBadRequest, fmt.Sprintf("Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: %s", text)}
}
