package ctl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"matriarch/internal/cluster"
)

// roles that members are chosen by.
var roles = []string{"leader", "primary", "standby-leader", "replica", "standby", "any"}

func roleFlag(f *pflag.FlagSet) *choice {
	role := &choice{value: "any", allowed: roles}
	f.VarP(role, "role", "r", "only members of this role: "+strings.Join(roles, ", "))
	return role
}

// withRole are the members of a role, in the order of their names.
func (p picture) withRole(role string) []cluster.Member {
	var out []cluster.Member
	for _, part := range p.each() {
		for _, m := range part.view.Members {
			if part.hasRole(m, role) {
				out = append(out, m)
			}
		}
	}
	return out
}

func (p picture) hasRole(m cluster.Member, role string) bool {
	leads := m.Name == p.view.Leader.Name
	switch role {
	case "leader":
		return leads
	case "primary":
		return leads && m.Role != cluster.RoleStandbyLeader
	case "standby-leader":
		return leads && m.Role != cluster.RolePrimary
	case "replica", "standby":
		return !leads
	}
	return true
}

// choose are the members that a role or a name means; without both, the leader.
func (p picture) choose(role, name string) []cluster.Member {
	if name != "" {
		return slices.DeleteFunc(p.members(), func(m cluster.Member) bool { return m.Name != name })
	}
	if role == "" {
		role = "leader"
	}
	return p.withRole(role)
}

// unknownNames are those that no member has.
func (p picture) unknownNames(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(p.members(), func(m cluster.Member) bool { return m.Name == name })
	})
}

// clusterAndMembers reads CLUSTER_NAME [MEMBER_NAMES]. patronictl wants the name of
// the cluster; matriarch takes that of the configuration when the first argument
// is missing or is the name of a member.
func (a *app) clusterAndMembers(cmd *cobra.Command, args []string, g *groupOption) (name string, members []string, err error) {
	if !a.Strict {
		if len(args) == 0 {
			return "", nil, Usage(cmd, "Missing argument 'CLUSTER_NAME'.")
		}
		return args[0], args[1:], nil
	}
	c, err := a.load()
	switch {
	case err != nil:
		return "", nil, err
	case c.Scope == "" && len(args) == 0:
		return "", nil, Usage(cmd, "Missing argument 'CLUSTER_NAME'.")
	case len(args) == 0:
		return c.Scope, nil, nil
	case c.Scope == "" || args[0] == c.Scope:
		return args[0], args[1:], nil
	}
	err = a.one(cmd.Context(), nil, g, func(_ *session, p picture) error {
		name, members = args[0], args[1:]
		if len(p.unknownNames(args[:1])) == 0 {
			name, members = c.Scope, args
		}
		return nil
	})
	return name, members, err
}

// memberAction is an action on some members of a cluster.
type memberAction struct {
	*session
	*results
	verb   string // as it is asked about: restart, reload, reinitialize, flush
	role   string
	force  bool
	before picture
}

// membersUse is how a command for some members of a cluster is called.
func (a *app) membersUse(name string) string {
	if a.Strict {
		return name + " [CLUSTER_NAME] [MEMBER_NAMES]..."
	}
	return name + " CLUSTER_NAME [MEMBER_NAMES]..."
}

// onMembers finds the cluster, chooses the members and lets do act on them.
func (a *app) onMembers(cmd *cobra.Command, args []string, g *groupOption, m *memberAction, do func(context.Context, []cluster.Member) error) error {
	name, names, err := a.clusterAndMembers(cmd, args, g)
	if err != nil {
		return err
	}
	return a.one(cmd.Context(), []string{name}, g, func(s *session, p picture) error {
		m.session, m.before, m.cluster = s, p, s.name
		chosen, err := m.pick(cmd.Context(), names)
		if err != nil {
			return err
		}
		return do(cmd.Context(), chosen)
	})
}

// pick applies role and names, and shows the cluster before anything is asked.
func (m *memberAction) pick(ctx context.Context, names []string) ([]cluster.Member, error) {
	candidates := m.before.withRole(m.role)
	if len(names) == 0 && len(candidates) == 0 {
		if m.Strict && len(m.before.members()) > 0 {
			return nil, fail("no member of cluster %s has the role %s", m.name, m.role)
		}
		return nil, fail("%s cluster doesn't have any members", m.name)
	}
	m.line("%s", m.before.pretty(false, false, m.colours(m.Out)))
	if unknown := m.before.unknownNames(names); len(unknown) > 0 {
		text := fmt.Sprintf("%s: not a member of cluster %s", strings.Join(unknown, ", "), m.name)
		if m.Strict {
			return nil, fail("%s", text)
		}
		m.warn(text)
	}
	if len(names) == 0 && m.verb == "reinitialize" {
		return m.askWhich(ctx, candidates)
	}
	if len(names) > 0 {
		candidates = slices.DeleteFunc(candidates, func(c cluster.Member) bool { return !slices.Contains(names, c.Name) })
	}
	if len(candidates) == 0 && m.verb == "reinitialize" {
		return nil, fail("No %s among provided members", m.role)
	}
	if len(candidates) == 0 {
		return nil, fail("No '%s' among provided members", m.role)
	}
	return candidates, nil
}

// askWhich: nothing is thrown away that was not named.
func (m *memberAction) askWhich(ctx context.Context, candidates []cluster.Member) ([]cluster.Member, error) {
	if m.force {
		return nil, nil
	}
	names := make([]string, len(candidates))
	for i, c := range candidates {
		names[i] = c.Name
	}
	answer, err := m.ask(ctx, fmt.Sprintf("Which member do you want to reinitialize [%s]?", strings.Join(names, ", ")), "")
	if err != nil {
		return nil, err
	}
	i := slices.Index(names, answer)
	if i < 0 {
		return nil, fail("%s is not a member of cluster", answer)
	}
	return candidates[i : i+1], nil
}

// sure asks before anything is done, unless forced. aborted is what a no is called.
func (m *memberAction) sure(ctx context.Context, question, aborted string) error {
	if m.force {
		return nil
	}
	ok, err := m.confirm(ctx, question)
	if err == nil && !ok {
		return fail("%s", aborted)
	}
	return err
}

func memberNames(members []cluster.Member) string {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.Name
	}
	return strings.Join(names, ", ")
}
