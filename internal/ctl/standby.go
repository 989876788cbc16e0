package ctl

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
)

// turning makes a cluster the standby of another one, or independent again.
type turning struct {
	*session
	out    *results
	demote bool
	force  bool
	wait   time.Duration
	before picture
}

// turnTime is how long the members may take without anything new to be seen: a
// leader has to stop, and to find its new source.
const turnTime = 5 * time.Minute

func (a *app) demoteCluster() *cobra.Command {
	var host, restore, slot string
	var port int
	cmd := &cobra.Command{
		Use:     "demote-cluster [CLUSTER_NAME]",
		Short:   "Make the cluster a standby of another one",
		Example: "  demote-cluster -c /etc/patroni.yml --host db.example.com --port 5432",
		Args:    atMost(1),
	}
	t := turning{demote: true}
	f := cmd.Flags()
	f.StringVar(&host, "host", "", "address of the cluster to follow")
	f.IntVar(&port, "port", 0, "port of the cluster to follow")
	f.StringVar(&restore, "restore-command", "", "command to restore log files with")
	f.StringVar(&slot, "primary-slot-name", "", "replication slot on the cluster to follow")
	format := t.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		standby := map[string]any{}
		for name, text := range map[string]string{"host": host, "restore_command": restore, "primary_slot_name": slot} {
			if text != "" {
				standby[name] = text
			}
		}
		if port != 0 {
			standby["port"] = port
		}
		if host == "" && port == 0 && restore == "" {
			return fail("At least --host, --port or --restore-command should be specified")
		}
		return t.command(cmd, a, args, format.value, standby)
	}
	return cmd
}

func (a *app) promoteCluster() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "promote-cluster [CLUSTER_NAME]",
		Short:   "Make a standby cluster independent of the one that it follows",
		Example: "  promote-cluster -c /etc/patroni.yml",
		Args:    atMost(1),
	}
	var t turning
	format := t.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return t.command(cmd, a, args, format.value, nil) // null takes the section away
	}
	return cmd
}

func (t *turning) flags(cmd *cobra.Command) *choice {
	cmd.Flags().BoolVar(&t.force, "force", false, "ask nothing")
	cmd.Flags().DurationVar(&t.wait, "wait-limit", turnTime, "give up when nothing new is seen for so long")
	return formatFlag(cmd.Flags())
}

func (t *turning) command(cmd *cobra.Command, a *app, args []string, format string, section any) error {
	t.out = a.results(cmd.Name(), format)
	return a.one(cmd.Context(), args, nil, func(s *session, p picture) error {
		t.session, t.before, t.out.cluster = s, p, s.name
		return t.run(cmd.Context(), section)
	})
}

// words are those of the direction.
func (t *turning) words() (verb, noun string, target cluster.Role) {
	if t.demote {
		return "demote", "demotion", cluster.RoleStandbyLeader
	}
	return "promote", "promotion", cluster.RolePrimary
}

func (t *turning) run(ctx context.Context, section any) error {
	verb, noun, target := t.words()
	leader, ok := t.before.view.LeaderMember()
	switch {
	case !ok:
		return fail("Cluster has no leader, %s is not possible", noun)
	case leader.Role == target && (t.demote || !t.before.settings.StandbyCluster):
		return fail("Cluster is already in the required state")
	case t.demote && leader.Permit:
		return fail("This version of Matriarch does not follow another cluster: with the section standby_cluster nobody would be promoted any more. Nothing was changed")
	}
	t.out.line("Current cluster topology\n%s", t.before.pretty(false, false, t.colours(t.Out)))
	if !t.force {
		ok, err := t.confirm(ctx, fmt.Sprintf("Are you sure you want to %s %s cluster?", verb, t.name))
		if err != nil {
			return err
		}
		if !ok {
			return fail("Aborted cluster %s", noun)
		}
	}
	rest, err := t.client()
	if err != nil {
		return err
	}
	answer, err := t.quick(ctx, func(ctx context.Context) (client.Answer, error) {
		return rest.PatchConfig(ctx, leader.APIURL, map[string]any{"standby_cluster": section})
	})
	prefix := fmt.Sprintf("Failed to %s %s cluster: ", verb, t.name)
	switch {
	case ctx.Err() != nil:
		return errAborted
	case err != nil && !client.NotSent(err):
		return &failure{code: t.code(ExitUnknown), text: fmt.Sprintf("%s%v; the request may still take effect", prefix, err)}
	case err != nil:
		return &failure{code: t.code(ExitUnreachable), text: prefix + err.Error()}
	case answer.Code != http.StatusOK:
		// The prefix is doubled in patronictl.
		return &failure{code: t.code(ExitRefused), text: fmt.Sprintf("%s%s/config PATCH status code=%d, (%s)", prefix, prefix, answer.Code, answer.Text)}
	}
	return t.finish(ctx, leader.Name)
}

// code is the exit code of an error. patronictl knows no more than 1.
func (a *app) code(strict int) int {
	if a.Strict {
		return strict
	}
	return ExitFailed
}

// finish waits until the leader has the new role and the former one runs again.
func (t *turning) finish(ctx context.Context, former string) error {
	verb, noun, target := t.words()
	shown := ""
	last := t.Now()
	ticker := time.NewTicker(t.pace)
	defer ticker.Stop()
	p := t.progress()
	defer p.end()
	for {
		view := t.mirrored()
		line, done := t.look(view, former, target)
		if done {
			break
		}
		if line != shown {
			shown, last = line, t.Now()
			p.end()
			t.out.line("%s %s\n", last.Local().Format(time.DateTime), line)
		}
		if t.Now().Sub(last) > t.wait {
			text := fmt.Sprintf("nothing new was seen of the %s for %v; the configuration asks for it, so it may still come about", noun, t.wait)
			t.out.add(outcome{Result: resultUnknown, Text: text})
			t.out.document()
			return &failure{code: t.code(ExitUnknown), text: text}
		}
		select {
		case <-t.store.Changed():
		case <-ticker.C:
			p.tick()
		case <-ctx.Done():
			return errAborted
		}
	}
	p.end()
	text := "cluster is successfully " + verb + "d"
	t.out.line("%s %s\n", t.Now().Local().Format(time.DateTime), text)
	now, err := t.read(ctx)
	if err != nil {
		return err
	}
	t.out.line("%s", now.pretty(false, false, t.colours(t.Out)))
	t.out.add(outcome{Member: now.view.Leader.Name, Result: resultDone, Code: http.StatusOK, Text: text})
	return t.out.end()
}

// look is one round: what is seen, and whether that is the end.
func (t *turning) look(view cluster.View, former string, target cluster.Role) (line string, done bool) {
	leader, led := view.LeaderMember()
	role, state := "None", "None"
	if led {
		role, state = noneIfEmpty(string(leader.Role)), noneIfEmpty(string(leader.State))
	}
	unlocked := title(fmt.Sprint(!led)) // True or False, as Python has it
	line = fmt.Sprintf("cluster is unlocked: %s, leader role: %s, leader state: %s", unlocked, role, state)
	done = led && leader.Role == target && leader.State == cluster.StateRunning
	if led && leader.Name != former {
		m, _ := view.Member(former)
		previous := "None"
		if m.State != "" {
			previous = "'" + string(m.State) + "'"
		}
		line += ", previous leader state: " + previous
		done = done && (!t.demote || m.State == cluster.StateRunning)
	}
	return line, done
}

func noneIfEmpty(s string) string {
	if s == "" {
		return "None"
	}
	return s
}
