package ctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
)

var flushTargets = []string{"restart", "switchover"}

func (a *app) flush() *cobra.Command {
	var r memberAction
	cmd := &cobra.Command{
		Use:     a.membersUse("flush") + " {" + strings.Join(flushTargets, "|") + "}",
		Short:   "Take back what is scheduled: restarts of members, or a switchover",
		Example: "  flush mycluster switchover -c /etc/patroni.yml\n  flush mycluster node2 restart --force",
	}
	f := cmd.Flags()
	group, role := groupFlag(f), roleFlag(f)
	f.BoolVar(&r.force, "force", false, "ask nothing")
	format := formatFlag(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		args, target, err := a.flushTarget(cmd, args)
		if err != nil {
			return err
		}
		r.results, r.verb, r.role = a.results("flush "+target, format.value), "flush", role.value
		if target == "restart" {
			return a.onMembers(cmd, args, group, &r, r.flushRestarts)
		}
		name, names, err := a.clusterAndMembers(cmd, args, group)
		if err != nil {
			return err
		}
		if len(names) > 0 || cmd.Flags().Changed("role") {
			a.warn("a switchover is of the whole cluster: member names and --role do not count")
		}
		return a.one(cmd.Context(), []string{name}, group, func(s *session, p picture) error {
			r.session, r.before, r.cluster = s, p, s.name
			return r.flushSwitchover(cmd.Context())
		})
	}
	return cmd
}

// flushTarget takes the last argument, which says what to flush.
func (a *app) flushTarget(cmd *cobra.Command, args []string) (rest []string, target string, err error) {
	least := 2
	if a.Strict {
		least = 1
	}
	metavar := "{" + strings.Join(flushTargets, "|") + "}"
	switch {
	case len(args) == 0 && !a.Strict:
		return nil, "", Usage(cmd, "Missing argument 'CLUSTER_NAME'.")
	case len(args) < least:
		return nil, "", Usage(cmd, "Missing argument '%s'. Choose from:\n\t%s", metavar, strings.Join(flushTargets, ",\n\t"))
	}
	target = args[len(args)-1]
	if !slices.Contains(flushTargets, target) {
		return nil, "", Usage(cmd, "Invalid value for '%s': '%s' is not one of '%s'.", metavar, target, strings.Join(flushTargets, "', '"))
	}
	return args[:len(args)-1], target, nil
}

func (r *memberAction) flushRestarts(ctx context.Context, members []cluster.Member) error {
	if err := r.sure(ctx, fmt.Sprintf("Are you sure you want to flush members %s?", memberNames(members)), "Aborted flush"); err != nil {
		return err
	}
	rest, err := r.client()
	if err != nil {
		return err
	}
	for _, m := range members {
		if len(m.ScheduledRestart) == 0 {
			r.line("No scheduled restart for member %s\n", m.Name)
			r.add(outcome{Member: m.Name, Result: resultUnchanged, Text: "no scheduled restart"})
			continue
		}
		answer, err := r.quick(ctx, func(ctx context.Context) (client.Answer, error) { return rest.Unschedule(ctx, m.APIURL, "restart") })
		if ctx.Err() != nil {
			return errAborted
		}
		r.add(r.told("flush scheduled restart", m.Name, answer, err))
	}
	return r.end()
}

// flushSwitchover asks the leader, then the others, until one answers for certain.
// When nobody can be asked the failover key is cleared, if it is still the one that
// was seen.
func (r *memberAction) flushSwitchover(ctx context.Context) error {
	if r.before.view.Failover.At == "" {
		r.line("No pending scheduled switchover\n")
		r.add(outcome{Result: resultUnchanged, Text: "no pending scheduled switchover"})
		return r.end()
	}
	rest, err := r.client()
	if err != nil {
		return err
	}
	for _, m := range r.before.leaderFirst() {
		answer, err := r.quick(ctx, func(ctx context.Context) (client.Answer, error) { return rest.Unschedule(ctx, m.APIURL, "switchover") })
		switch {
		case ctx.Err() != nil:
			return errAborted
		case err != nil:
			r.warn(fmt.Sprintf("Member %s is not accessible: %v", m.Name, err))
		case answer.Code == http.StatusOK:
			r.line("Success: %s\n", answer.Text)
			r.add(outcome{Member: m.Name, Result: resultDone, Code: answer.Code, Text: answer.Text})
			return r.end()
		case answer.Code == http.StatusNotFound:
			r.line("Failed: %s\n", answer.Text)
			r.add(outcome{Member: m.Name, Result: resultRefused, Code: answer.Code, Text: answer.Text})
			return r.end()
		default:
			r.line("Failed: member=%s, status_code=%d, (%s)\n", m.Name, answer.Code, answer.Text)
		}
	}
	r.line("%s Could not find any accessible member of cluster %s\n", r.stamp(), r.name)
	return r.clearFailover(ctx)
}

func (r *memberAction) clearFailover(ctx context.Context) error {
	key := r.key(dcs.KeyFailover)
	err := r.commit(ctx, dcs.Txn{
		If:   []dcs.Condition{{Key: key, Modified: r.before.view.Failover.Modified}},
		Then: []dcs.Op{{Key: key, Data: cluster.Failover{}.Encode()}},
	})
	switch {
	case errors.Is(err, dcs.ErrConflict):
		return fail("the failover key was changed meanwhile, nothing was flushed; look at the cluster again")
	case err != nil:
		return r.unreachable(ctx, r.config, err)
	}
	r.warn("the scheduled switchover was taken out of the store; no member has confirmed it")
	r.add(outcome{Result: resultDone, Text: "taken out of the store; no member has confirmed it"})
	return r.end()
}
