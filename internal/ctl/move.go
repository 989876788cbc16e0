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

// move is a switchover or a failover on its way from the questions to the end.
type move struct {
	*session
	action    string // switchover or failover
	force     bool
	leader    string
	candidate string
	at        *time.Time // nil: now
	before    picture    // what the answers were given about
	shown     *progress
	out       *results
}

func (a *app) switchover() *cobra.Command {
	var leader, candidate, scheduled string
	var force, wait bool
	cmd := &cobra.Command{
		Use:   "switchover [CLUSTER_NAME]",
		Short: "Hand the leadership to another member, in order and without losing a transaction",
		Example: "  switchover -c /etc/patroni.yml\n  switchover -c /etc/patroni.yml --candidate node2 --force\n" +
			"  switchover -c /etc/patroni.yml --scheduled 2030-01-02T03:04+02:00",
		Args: atMost(1),
	}
	group := groupFlag(cmd.Flags())
	cmd.Flags().StringVar(&leader, "leader", "", "the present leader, as a safeguard")
	cmd.Flags().StringVar(&leader, "primary", "", "the same as --leader")
	cmd.Flags().StringVar(&candidate, "candidate", "", "the member to become leader; any unless given")
	cmd.Flags().StringVar(&scheduled, "scheduled", "", "when, in an unambiguous form such as ISO 8601; now unless given")
	cmd.Flags().BoolVar(&force, "force", false, "ask nothing")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the former leader streams from the new one")
	format := formatFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		out := a.results("switchover", format.value)
		return a.one(cmd.Context(), args, group, func(s *session, p picture) error {
			m := &move{session: s, action: "switchover", force: force, leader: leader, candidate: candidate, before: p, out: out}
			return m.run(cmd.Context(), scheduled, wait)
		})
	}
	return cmd
}

func (a *app) failover() *cobra.Command {
	var candidate string
	var force, wait bool
	cmd := &cobra.Command{
		Use:     "failover [CLUSTER_NAME]",
		Short:   "Make a member leader, also when there is no leader or it is not well",
		Example: "  failover -c /etc/patroni.yml --candidate node2",
		Args:    atMost(1),
	}
	group := groupFlag(cmd.Flags())
	cmd.Flags().StringVar(&candidate, "candidate", "", "the member to become leader")
	cmd.Flags().BoolVar(&force, "force", false, "ask nothing")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the former leader streams from the new one")
	format := formatFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		out := a.results("failover", format.value)
		return a.one(cmd.Context(), args, group, func(s *session, p picture) error {
			m := &move{session: s, action: "failover", force: force, candidate: candidate, before: p, out: out}
			return m.run(cmd.Context(), "", wait)
		})
	}
	return cmd
}

func (m *move) table(p picture) { m.say("%s", p.pretty(false, false, m.colours(m.Out))) }

func (m *move) run(ctx context.Context, scheduled string, wait bool) error {
	m.out.cluster = m.name
	m.say("Current cluster topology\n")
	m.table(m.before)
	if m.citus && m.group == noGroup {
		all := m.session
		if err := m.chooseGroup(ctx); err != nil {
			return err
		}
		defer func() { m.session.close(); m.session = all }()
	}
	for _, step := range []func(context.Context) error{
		m.chooseLeader, m.chooseCandidate,
		func(ctx context.Context) error { return m.chooseTime(ctx, scheduled) },
		m.confirmAll,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return m.carryOut(ctx, wait)
}

// chooseGroup turns to one group of a Citus cluster: each has a leader of its own.
func (m *move) chooseGroup(ctx context.Context) error {
	if m.force {
		return fail("For Citus clusters the --group must me specified")
	}
	group, err := m.askNumber(ctx, "Citus group")
	if err != nil {
		return err
	}
	s, err := m.open(ctx, m.name, &groupOption{given: group})
	if err != nil {
		return err
	}
	if m.before, err = s.read(ctx); err != nil {
		s.close()
		return err
	}
	m.session = s
	return nil
}

func (m *move) chooseLeader(ctx context.Context) error {
	present := m.before.view.Leader.Name
	if m.action == "failover" {
		return nil
	}
	if present == "" {
		return fail("This cluster has no leader")
	}
	if m.leader == "" {
		m.leader = present
		if !m.force {
			prompt := "Primary"
			if m.before.settings.StandbyCluster {
				prompt = "Standby Leader"
			}
			answer, err := m.ask(ctx, prompt, present)
			if err != nil {
				return err
			}
			m.leader = answer
		}
	}
	if m.leader != present {
		return fail("Member %s is not the leader of cluster %s", m.leader, m.name)
	}
	return nil
}

// promotable applies the rule that the question uses: nofailover counts by its
// presence, whatever it says.
func promotable(m cluster.Member) bool {
	if _, tagged := m.Tags["nofailover"]; tagged {
		return false
	}
	return m.Tags.FailoverPriority() > 0
}

func (m *move) chooseCandidate(ctx context.Context) error {
	leader := m.before.view.Leader.Name
	names := sortedNames(slices.DeleteFunc(slices.Clone(m.before.view.Members), func(c cluster.Member) bool {
		return c.Name == leader || !promotable(c)
	}))
	if len(names) == 0 {
		return fail("No candidates found to %s to", m.action)
	}
	if m.candidate == "" && !m.force {
		answer, err := m.ask(ctx, "Candidate ['"+strings.Join(names, "', '")+"']", "")
		if err != nil {
			return err
		}
		m.candidate = answer
	}
	switch {
	case m.candidate == "" && m.action == "failover":
		return fail("Failover could be performed only to a specific candidate")
	case m.candidate == "", slices.Contains(names, m.candidate):
	case m.candidate == leader:
		return fail("Member %s is already the leader of cluster %s", m.candidate, m.name)
	default:
		return fail("Member %s does not exist in cluster %s or is tagged as nofailover", m.candidate, m.name)
	}
	return m.confirmAsynchronous(ctx)
}

func (m *move) confirmAsynchronous(ctx context.Context) error {
	synchronous := m.before.settings.Synchronous != "" && m.before.view.Sync.Leader != ""
	if m.force || m.action != "failover" || !synchronous || m.before.view.Sync.Includes(m.candidate) {
		return nil
	}
	ok, err := m.confirm(ctx, fmt.Sprintf("Are you sure you want to failover to the asynchronous node %s?", m.candidate))
	if err == nil && !ok {
		return fail("Aborting failover")
	}
	return err
}

func (m *move) chooseTime(ctx context.Context, scheduled string) error {
	if m.action == "failover" {
		return nil
	}
	if scheduled == "" && !m.force {
		example := m.Now().Local().Add(time.Hour).Format("2006-01-02T15:04")
		answer, err := m.ask(ctx, fmt.Sprintf("When should the switchover take place (e.g. %s ) ", example), "now")
		if err != nil {
			return err
		}
		scheduled = answer
	}
	if scheduled == "" || scheduled == "now" {
		return nil
	}
	at, ok := parseWhen(scheduled, m.Now())
	if !ok {
		return fail("Unable to parse scheduled timestamp (%s). It should be in an unambiguous format (e.g. ISO 8601)", scheduled)
	}
	if m.before.settings.Pause {
		return fail("Can't schedule switchover in the paused state")
	}
	m.at = &at
	return nil
}

func (m *move) confirmAll(ctx context.Context) error {
	if m.force {
		return nil
	}
	demoting := ""
	if leader := m.before.view.Leader.Name; leader != "" {
		demoting = ", demoting current leader " + leader
	}
	question := fmt.Sprintf("Are you sure you want to %s cluster %s%s?", m.action, m.name, demoting)
	aborting := "Aborting " + m.action
	if m.at != nil {
		question = fmt.Sprintf("Are you sure you want to schedule switchover of cluster %s at %s%s?", m.name, isoTime(*m.at), demoting)
		aborting = "Aborting scheduled switchover"
	}
	ok, err := m.confirm(ctx, question)
	if err == nil && !ok {
		return fail("%s", aborting)
	}
	return err
}

// target is the member to ask: the leader, or the candidate where there is none.
func (m *move) target() cluster.Member {
	if leader, ok := m.before.view.LeaderMember(); ok {
		return leader
	}
	candidate, _ := m.before.view.Member(m.candidate)
	return candidate
}

// request is what the REST API is sent. An immediate move carries no time.
func (m *move) request() client.Move {
	out := client.Move{Leader: m.leader, Candidate: m.candidate}
	if m.at != nil {
		out.At = isoTime(*m.at)
	}
	return out
}

// patience is how long the members may take: they answer after twice the larger
// of 10 s and loop_wait at the latest.
func (m *move) patience() time.Duration {
	return 2*max(10*time.Second, m.before.settings.LoopWait) + 5*time.Second
}

// carryOut asks the leader, and writes the request into the store itself when
// the leader does not answer.
func (m *move) carryOut(ctx context.Context, wait bool) error {
	c, err := m.client()
	if err != nil {
		return err
	}
	answer, err := m.post(ctx, c)
	switch {
	case ctx.Err() != nil:
		return errAborted
	case err != nil:
		m.warn(fmt.Sprintf("Member %s did not answer: %v", m.target().Name, err))
		return m.fallBack(ctx, wait)
	case answer.Code == http.StatusAccepted:
		m.out.add(outcome{Member: m.candidate, Result: resultScheduled, Code: answer.Code, Text: answer.Text})
		return m.finish(ctx, answer.Text)
	case answer.Code != http.StatusOK:
		return m.refused(answer)
	}
	m.settle(ctx, wait)
	m.out.add(outcome{Member: m.mirrored().Leader.Name, Result: resultDone, Code: answer.Code, Text: answer.Text})
	return m.finish(ctx, answer.Text)
}

// post sends the request and shows meanwhile what the store tells. A member that
// does not even tell its status is not asked: it would hold up the operator for
// the whole time that a switchover may take.
func (m *move) post(ctx context.Context, c *client.Client) (client.Answer, error) {
	target := m.target()
	if _, err := c.Status(ctx, target.APIURL); err != nil {
		return client.Answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	m.startShowing()
	return m.during(ctx, m.shown, m.progressLine, func(ctx context.Context) (client.Answer, error) {
		if m.action == "failover" {
			return c.Failover(ctx, target.APIURL, m.request())
		}
		return c.Switchover(ctx, target.APIURL, m.request())
	})
}

// refused prints a server's no. Its code is 0 for patronictl, whose callers are
// used to it.
func (m *move) refused(answer client.Answer) error {
	unknown := strings.Contains(answer.Text, "status unknown")
	what := "failed"
	if unknown {
		what = "result unknown"
	}
	m.say("%s %s, details: %d, %s\n", title(m.action), what, answer.Code, answer.Text)
	result := resultRefused
	if unknown {
		result = resultUnknown
	}
	m.out.add(outcome{Member: m.candidate, Result: result, Code: answer.Code, Text: answer.Text})
	m.out.document()
	if !m.Strict {
		return nil
	}
	return &failure{code: m.out.code()}
}

// finish prints the last word and the cluster as it is by then.
func (m *move) finish(ctx context.Context, text string) error {
	p, err := m.read(ctx)
	if err != nil {
		return err
	}
	m.say("%s %s\n", m.stamp(), text)
	m.table(p)
	m.out.document()
	return nil
}
