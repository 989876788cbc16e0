package ctl

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
)

// reinitializing is a copy of the data anew, on one or several standbys.
type reinitializing struct {
	memberAction
	fromLeader bool
	wait       bool
	rest       *client.Client
	started    []*copying
}

func (a *app) reinit() *cobra.Command {
	var r reinitializing
	cmd := &cobra.Command{
		Use:     a.membersUse("reinit"),
		Short:   "Throw a standby's data away and copy it anew",
		Example: "  reinit mycluster node2 -c /etc/patroni.yml --wait",
	}
	f := cmd.Flags()
	group := groupFlag(f)
	f.BoolVar(&r.force, "force", false, "ask nothing, and cancel whatever else the member is busy with")
	f.BoolVar(&r.fromLeader, "from-leader", false, "copy from the leader, also where another member is preferred")
	f.BoolVar(&r.wait, "wait", false, "wait until the copy is complete and the server runs on it")
	format := formatFlag(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.results, r.verb, r.role = a.results("reinit", format.value), "reinitialize", "replica"
		return a.onMembers(cmd, args, group, &r.memberAction, r.run)
	}
	return cmd
}

func (r *reinitializing) run(ctx context.Context, members []cluster.Member) error {
	if err := r.sure(ctx, fmt.Sprintf("Are you sure you want to reinitialize members %s?", memberNames(members)), "Aborted reinitialize"); err != nil {
		return err
	}
	var err error
	if r.rest, err = r.client(); err != nil {
		return err
	}
	for _, m := range members {
		if err := r.member(ctx, m); err != nil {
			return err
		}
	}
	if err := r.stay(ctx); err != nil {
		return err
	}
	return r.end()
}

// member asks one, and once more by force if the operator wants that.
func (r *reinitializing) member(ctx context.Context, m cluster.Member) error {
	before, err := r.rest.Server(ctx, m.APIURL)
	if err != nil && client.NotSent(err) {
		r.add(r.unreachableMember(m, err))
		return nil
	}
	request := client.Reinitialize{Force: r.force, FromLeader: r.fromLeader}
	for {
		answer, err := r.quick(ctx, func(ctx context.Context) (client.Answer, error) { return r.rest.Reinitialize(ctx, m.APIURL, request) })
		if ctx.Err() != nil {
			return errAborted
		}
		o := r.told("reinitialize", m.Name, answer, err)
		if o.Result == resultRefused && strings.HasSuffix(answer.Text, " already in progress") && !request.Force {
			again, err := r.confirm(ctx, "Do you want to cancel it and reinitialize anyway?")
			if err != nil {
				return err
			}
			if request.Force = again; again {
				continue
			}
		}
		if o.Result == resultDone && r.wait {
			r.started = append(r.started, &copying{member: m, before: before.Started})
			return nil
		}
		r.add(o)
		return nil
	}
}

// copying is a member that has begun.
type copying struct {
	member  cluster.Member
	before  string // when the old server was started; empty: it did not run
	trouble int    // looks in a row that found it broken, idle or silent
	last    string // what was seen last
}

// troubleLimit is in looks: for so long a member may be stopped, failed or silent
// before the copy counts as failed. Agents try again by themselves.
const troubleLimit = 60

// stay waits for all that have begun, and tells whenever one is done.
func (r *reinitializing) stay(ctx context.Context) error {
	p := r.progress()
	defer p.end()
	ticker := time.NewTicker(r.pace)
	defer ticker.Stop()
	told := -1
	for len(r.started) > 0 {
		if told != len(r.started) {
			told = len(r.started)
			r.line("Waiting for reinitialize to complete on: %s\n", r.waiting())
		}
		r.started = slices.DeleteFunc(r.started, func(c *copying) bool { return r.over(ctx, c, p) })
		if len(r.started) == 0 {
			break
		}
		select {
		case <-ticker.C:
			p.tick()
		case <-ctx.Done():
			p.end()
			r.warn(fmt.Sprintf("the copy goes on without us on: %s", r.waiting()))
			return errAborted
		}
	}
	return nil
}

func (r *reinitializing) waiting() string {
	names := make([]string, len(r.started))
	for i, c := range r.started {
		names[i] = c.member.Name
	}
	return strings.Join(names, ", ")
}

// over looks at one member and reports that there is no more to wait for.
func (r *reinitializing) over(ctx context.Context, c *copying, p *progress) bool {
	name := c.member.Name
	now, err := r.rest.Server(ctx, c.member.APIURL)
	if ctx.Err() != nil {
		return false
	}
	switch {
	case err != nil:
		c.trouble++
		c.last = err.Error()
	case now.State == cluster.StateRunning && now.Started != "" && now.Started != c.before:
		p.end()
		r.line("Reinitialize is completed on: %s\n", name)
		r.add(outcome{Member: name, Result: resultDone})
		return true
	case broken(now.State), now.State == cluster.StateStopped, now.State == cluster.StateRunning: // given up, or not begun
		c.trouble++
		c.last = "it is " + string(now.State)
	default:
		c.trouble = 0
		p.show(r.copyLine(name, now))
	}
	if c.trouble < troubleLimit {
		return false
	}
	p.end()
	if err != nil {
		r.line("Result unknown: reinitialize for member %s, (%s)\n", name, c.last)
		r.add(outcome{Member: name, Result: resultUnknown, Text: c.last})
		return true
	}
	r.line("Failed: reinitialize for member %s, (%s)\n", name, c.last)
	r.add(outcome{Member: name, Result: resultFailed, Text: c.last})
	return true
}

// copyLine takes the progress from the store where the member publishes it.
func (r *reinitializing) copyLine(name string, now client.Server) string {
	snapshot, _ := r.store.Mirror()
	for _, m := range r.picture(snapshot).members() {
		if m.Name == name && m.Progress != "" {
			return fmt.Sprintf("%s: %s (%s)", name, now.State, m.Progress)
		}
	}
	return fmt.Sprintf("%s: %s", name, now.State)
}
