package ctl

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
)

// restarting is a restart on its way from the questions to the end.
type restarting struct {
	memberAction
	anyOne  bool
	rolling bool
	at      *time.Time // nil: now
	request client.Restart
	rest    *client.Client
}

func (a *app) restart() *cobra.Command {
	var r restarting
	var scheduled string
	cmd := &cobra.Command{
		Use:   a.membersUse("restart"),
		Short: "Restart the servers of a cluster, or some of them, now or later",
		Example: "  restart mycluster node2 -c /etc/patroni.yml\n  restart mycluster --pending --force\n" +
			"  restart mycluster --role replica --scheduled 2030-01-02T03:04+02:00",
	}
	f := cmd.Flags()
	group, role := groupFlag(f), roleFlag(f)
	f.BoolVar(&r.anyOne, "any", false, "restart a single one of them")
	f.StringVar(&scheduled, "scheduled", "", "when, in an unambiguous form such as ISO 8601; now unless given")
	f.StringVar(&r.request.Version, "pg-version", "", "restart only servers older than this version, as 16.2")
	f.BoolVar(&r.request.Pending, "pending", false, "restart only servers with a pending restart")
	f.StringVar(&r.request.Timeout, "timeout", "", "how long the start may take: seconds, or with a unit")
	f.BoolVar(&r.rolling, "rolling", false, "standbys first, one by one, each until it streams again; stop at the first that does not")
	f.BoolVar(&r.force, "force", false, "ask nothing")
	format := formatFlag(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.results, r.verb, r.role = a.results("restart", format.value), "restart", role.value
		return a.onMembers(cmd, args, group, &r.memberAction, func(ctx context.Context, members []cluster.Member) error {
			return r.run(ctx, members, scheduled)
		})
	}
	return cmd
}

func (r *restarting) run(ctx context.Context, members []cluster.Member, scheduled string) error {
	if err := r.chooseTime(ctx, scheduled); err != nil {
		return err
	}
	if r.request.Pending && r.at == nil {
		members = slices.DeleteFunc(members, func(m cluster.Member) bool { return !m.PendingRestart })
	}
	if r.anyOne && len(members) > 0 {
		i := rand.IntN(len(members))
		members = members[i : i+1]
	}
	if err := r.sureAbout(ctx, members); err != nil {
		return err
	}
	if err := r.chooseVersion(ctx); err != nil {
		return err
	}
	if r.at != nil {
		if r.before.settings.Pause {
			return fail("Can't schedule restart in the paused state")
		}
		r.request.At = isoTime(*r.at)
	}
	var err error
	if r.rest, err = r.client(); err != nil {
		return err
	}
	if r.rolling || r.Strict {
		members = r.leaderLast(members)
	}
	for i, m := range members {
		o := r.member(ctx, m)
		r.add(o)
		if ctx.Err() != nil {
			return errAborted
		}
		if r.rolling && r.at == nil && (r.code() != 0 || o.Result == resultRefused || i < len(members)-1 && !r.streams(ctx, m)) {
			r.line("Stopped: %d of %d members are left as they are\n", len(members)-1-i, len(members))
			return cmp.Or(r.end(), error(&failure{code: ExitFailed}))
		}
	}
	return r.end()
}

func (r *restarting) chooseTime(ctx context.Context, scheduled string) error {
	if scheduled == "" && !r.force {
		example := r.Now().Local().Add(time.Hour).Format("2006-01-02T15:04")
		answer, err := r.ask(ctx, fmt.Sprintf("When should the restart take place (e.g. %s) ", example), "now")
		if err != nil {
			return err
		}
		scheduled = answer
	}
	at, err := r.parseScheduled(scheduled)
	r.at = at
	return err
}

// parseScheduled reads --scheduled; nil is now.
func (a *app) parseScheduled(text string) (*time.Time, error) {
	if text == "" || text == "now" {
		return nil, nil
	}
	at, ok := parseWhen(text, a.Now())
	if !ok {
		return nil, fail("Unable to parse scheduled timestamp (%s). It should be in an unambiguous format (e.g. ISO 8601)", text)
	}
	return &at, nil
}

func (r *restarting) sureAbout(ctx context.Context, members []cluster.Member) error {
	if r.at == nil {
		return r.sure(ctx, fmt.Sprintf("Are you sure you want to restart members %s?", memberNames(members)), "Aborted restart")
	}
	question := fmt.Sprintf("Are you sure you want to schedule restart of members %s at %s?", memberNames(members), strings.Replace(isoTime(*r.at), "T", " ", 1))
	if r.request.Pending {
		question = "The nodes needing a restart will be identified at the scheduled time, and might be different from the ones showing pending restart right now. Is this fine?"
	}
	return r.sure(ctx, question, "Aborted scheduled restart")
}

func (r *restarting) chooseVersion(ctx context.Context) error {
	if r.request.Version == "" && !r.force {
		answer, err := r.ask(ctx, "Restart if the PostgreSQL version is less than provided (e.g. 9.5.2) ", "")
		if err != nil {
			return err
		}
		r.request.Version = answer
	}
	version := r.request.Version
	if version == "" {
		return nil
	}
	var numbers []int
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil {
			return fail("Invalid PostgreSQL version: %s", version)
		}
		numbers = append(numbers, n)
	}
	// Since 10 a version has two parts.
	if len(numbers) == 3 || len(numbers) == 2 && numbers[0] >= 10 {
		return nil
	}
	return fail("Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: %s", version)
}

// leaderLast lets the standbys be back before the leader is gone for a moment.
func (r *restarting) leaderLast(members []cluster.Member) []cluster.Member {
	leads := func(m cluster.Member) bool {
		return slices.ContainsFunc(r.before.withRole("leader"), func(l cluster.Member) bool { return l.Name == m.Name })
	}
	out := slices.DeleteFunc(slices.Clone(members), leads)
	return append(out, slices.DeleteFunc(slices.Clone(members), func(m cluster.Member) bool { return !leads(m) })...)
}

// member restarts one, or schedules that, and prints what came of it.
func (r *restarting) member(ctx context.Context, m cluster.Member) outcome {
	if r.at == nil {
		return r.now(ctx, m)
	}
	if r.force && len(m.ScheduledRestart) > 0 {
		answer, err := r.quick(ctx, func(ctx context.Context) (client.Answer, error) { return r.rest.Unschedule(ctx, m.APIURL, "restart") })
		if err != nil || answer.Code != http.StatusOK {
			r.told("flush scheduled restart", m.Name, answer, err)
		}
	}
	answer, err := r.quick(ctx, func(ctx context.Context) (client.Answer, error) { return r.rest.Restart(ctx, m.APIURL, r.request) })
	return r.answered(m, answer, err)
}

func (r *restarting) answered(m cluster.Member, answer client.Answer, err error) outcome {
	o := outcome{Member: m.Name, Code: answer.Code, Text: answer.Text}
	switch {
	case err != nil:
		return r.told("restart", m.Name, answer, err)
	case answer.Code == http.StatusOK:
		r.line("Success: restart on member %s\n", m.Name)
		o.Result = resultDone
	case answer.Code == http.StatusAccepted:
		r.line("Success: restart scheduled on member %s\n", m.Name)
		o.Result = resultScheduled
	case answer.Code == http.StatusConflict:
		r.line("Failed: another restart is already scheduled on member %s\n", m.Name)
		o.Result = resultRefused
	default:
		return r.told("restart", m.Name, answer, nil)
	}
	return o
}
