package ctl

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
)

// pausing is a pause or its end.
type pausing struct {
	*session
	out    *results
	pause  bool
	before picture
}

func (a *app) pause() *cobra.Command {
	return a.pauseCommand(true, "pause", "Leave the servers to the operator: nothing is promoted, demoted or restarted")
}

func (a *app) resume() *cobra.Command {
	return a.pauseCommand(false, "resume", "End the pause: the members look after their servers again")
}

func (a *app) pauseCommand(pause bool, name, short string) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:     name + " [CLUSTER_NAME]",
		Short:   short,
		Example: "  " + name + " -c /etc/patroni.yml --wait",
		Args:    atMost(1),
	}
	group := configuredGroupFlag(cmd.Flags())
	format := formatFlag(cmd.Flags())
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until every member has taken notice")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		out := a.results(name, format.value)
		return a.one(cmd.Context(), args, group, func(s *session, p picture) error {
			out.cluster = s.name
			c := &pausing{session: s, out: out, pause: pause, before: p}
			return c.run(cmd.Context(), wait)
		})
	}
	return cmd
}

func (c *pausing) run(ctx context.Context, wait bool) error {
	switch {
	case c.pause && c.before.settings.Pause:
		return fail("Cluster is already paused")
	case !c.pause && !c.before.settings.Pause:
		return fail("Cluster is not paused")
	}
	var value any // null ends a pause
	if c.pause {
		value = true
	}
	answer, m, err := c.anyMember(ctx, c.before, func(ctx context.Context, rest *client.Client, m cluster.Member) (client.Answer, error) {
		return rest.PatchConfig(ctx, m.APIURL, map[string]any{"pause": value})
	})
	if err != nil {
		return err
	}
	if answer.Code != http.StatusOK {
		c.out.line("Failed: %s cluster management status code=%d, (%s)\n", c.out.action, answer.Code, answer.Text)
		c.out.add(outcome{Member: m.Name, Result: resultRefused, Code: answer.Code, Text: answer.Text})
		return c.out.end()
	}
	if wait && !c.wait(ctx) {
		if ctx.Err() != nil {
			return errAborted
		}
		return c.out.end()
	}
	if name := c.before.unstopped(); name != "" && !c.pause {
		c.warn(fmt.Sprintf("Nobody takes over from %s: %s", name, unstoppedText))
	}
	done := map[bool]string{true: "cluster management is paused", false: "cluster management is resumed"}[c.pause]
	c.out.line("Success: %s\n", done)
	c.out.add(outcome{Result: resultDone, Code: answer.Code, Text: done})
	return c.out.end()
}

// unstoppedText is what a person has to know of a leader that was lost in a pause.
const unstoppedText = "its agent ended in a pause, and nothing stops its PostgreSQL. Start its agent; or, when that PostgreSQL is surely down: failover --candidate NAME"

// unstopped is the member whose server may be writing with nobody to stop it: the last to
// lead, whose lease ended in a pause.
func (p picture) unstopped() string {
	if p.view.Leader.Name != "" {
		return ""
	}
	return p.view.Unarmed
}

// wait for every member that could be asked to publish what it was told. The ones
// that have not are named, also those that do not move at all.
func (c *pausing) wait(ctx context.Context) bool {
	c.out.line("'%s' request sent, waiting until it is recognized by all nodes\n", c.out.action)
	limit := c.before.settings.LoopWait
	ctx, cancel := context.WithTimeout(ctx, limit+c.pace)
	defer cancel()
	var missing []string
	ended := c.follow(ctx, c.progress(), func(cluster.View) string { return "" }, func(view cluster.View) bool {
		missing = c.missing(view)
		return len(missing) == 0
	})
	if ended || ctx.Err() == context.Canceled {
		return ended
	}
	c.out.line("%s members didn't recognized pause state after %d seconds\n", strings.Join(missing, ", "), int(limit/time.Second))
	for _, name := range missing {
		c.out.add(outcome{Member: name, Result: resultUnknown, Text: fmt.Sprintf("no sign of the %s after %v", c.out.action, limit)})
	}
	return false
}

func (c *pausing) missing(view cluster.View) []string {
	var names []string
	for _, m := range view.Members {
		asked := slices.ContainsFunc(c.before.view.Members, func(b cluster.Member) bool { return b.Name == m.Name && b.APIURL != "" })
		if asked && m.Pause != c.pause {
			names = append(names, m.Name)
		}
	}
	return names
}

// anyMember asks the leader, then the others, until one answers, whatever it says.
func (s *session) anyMember(ctx context.Context, p picture, ask func(context.Context, *client.Client, cluster.Member) (client.Answer, error)) (client.Answer, cluster.Member, error) {
	rest, err := s.client()
	if err != nil {
		return client.Answer{}, cluster.Member{}, err
	}
	for _, m := range p.leaderFirst() {
		if m.APIURL == "" {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, s.timeout)
		answer, err := ask(limited, rest, m)
		cancel()
		if ctx.Err() != nil {
			return client.Answer{}, m, errAborted
		}
		if err == nil {
			return answer, m, nil
		}
		s.warn(fmt.Sprintf("Member %s is not accessible: %v", m.Name, err))
	}
	return client.Answer{}, cluster.Member{}, fail("Can not find accessible cluster member")
}

func (p picture) leaderFirst() []cluster.Member {
	members := slices.Clone(p.view.Members)
	slices.SortStableFunc(members, func(a, b cluster.Member) int {
		switch p.view.Leader.Name {
		case a.Name:
			return -1
		case b.Name:
			return 1
		}
		return 0
	})
	return members
}
