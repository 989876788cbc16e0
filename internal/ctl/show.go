package ctl

import (
	"fmt"
	"slices"
	"sort"

	"github.com/spf13/cobra"

	"matriarch/internal/cluster"
)

var historyColumns = []column{
	{name: "TL", header: "TL", right: true}, {name: "LSN", header: "LSN", right: true}, {name: "Reason", header: "Reason"},
	{name: "Timestamp", header: "Timestamp"}, {name: "New Leader", header: "New Leader"},
}

func (a *app) history() *cobra.Command {
	format := &choice{value: "pretty", allowed: formats}
	cmd := &cobra.Command{
		Use:     "history [CLUSTER_NAME]",
		Short:   "Show the failovers and switchovers that the cluster has had",
		Example: "  history -c /etc/patroni.yml",
		Args:    atMost(1),
	}
	group := groupFlag(cmd.Flags())
	cmd.Flags().VarP(format, "format", "f", "output format: pretty, tsv, json, yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := noGroups(group); err != nil {
			return err
		}
		return a.one(cmd.Context(), args, func(_ *session, p picture) error {
			var rows []row
			for _, l := range p.view.History.Lines {
				rows = append(rows, row{"TL": int(l.Timeline), "LSN": uint64(l.LSN), "Reason": l.Reason, "Timestamp": l.When, "New Leader": l.NewLeader})
			}
			switch format.value {
			case "json":
				a.say("%s", jsonRows(historyColumns, rows))
			case "tsv":
				a.say("%s", tsvRows(historyColumns, rows))
			case "yaml", "yml":
				a.say("%s", yamlRows(rows))
			default:
				a.say("%s", plainTable(historyColumns, rows))
			}
			return nil
		})
	}
	return cmd
}

func plainTable(columns []column, rows []row) string {
	t := table{columns: columns}
	for _, r := range rows {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = cellText(r[c.name])
		}
		t.rows = append(t.rows, cells)
	}
	return t.String()
}

func (a *app) showConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show-config [CLUSTER_NAME]",
		Short:   "Show the dynamic configuration, which all members share",
		Example: "  show-config -c /etc/patroni.yml",
		Args:    atMost(1),
	}
	group := groupFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := noGroups(group); err != nil {
			return err
		}
		return a.one(cmd.Context(), args, func(_ *session, p picture) error {
			if p.view.Config.Modified != 0 && p.view.Config.Document != nil {
				a.say("%s\n", YAML(p.view.Config.Document))
			}
			return nil
		})
	}
	return cmd
}

// roles that dsn and query choose a member by.
var roles = []string{"leader", "primary", "standby-leader", "replica", "standby", "any"}

// withRole are the members of a role, in the order of their names.
func (p picture) withRole(role string) []cluster.Member {
	return slices.DeleteFunc(slices.Clone(p.view.Members), func(m cluster.Member) bool {
		leads := m.Name == p.view.Leader.Name
		switch role {
		case "leader":
			return !leads
		case "primary":
			return !leads || m.Role == cluster.RoleStandbyLeader
		case "standby-leader":
			return !leads || m.Role == cluster.RolePrimary
		case "replica", "standby":
			return leads
		}
		return false
	})
}

func (a *app) dsn() *cobra.Command {
	role := &choice{allowed: roles}
	var name string
	cmd := &cobra.Command{
		Use:     "dsn [CLUSTER_NAME]",
		Short:   "Print host and port of a member, for psql's command line",
		Example: "  psql \"$(matriarch dsn -c /etc/patroni.yml) dbname=postgres\"\n  dsn -c /etc/patroni.yml -r replica",
		Args:    atMost(1),
	}
	group := groupFlag(cmd.Flags())
	cmd.Flags().VarP(role, "role", "r", "a member of this role (leader unless given): "+fmt.Sprint(roles))
	cmd.Flags().StringVarP(&name, "member", "m", "", "the member of this name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := noGroups(group); err != nil {
			return err
		}
		if role.value != "" && name != "" {
			return fail("--role and --member are mutually exclusive options")
		}
		return a.one(cmd.Context(), args, func(_ *session, p picture) error {
			for _, m := range p.choose(role.value, name) {
				if host, port, ok := m.Address(); ok {
					a.say("host=%s port=%d\n", host, port)
					return nil
				}
			}
			return fail("Can not find a suitable member")
		})
	}
	return cmd
}

// choose are the members that a role or a name means; without both, the leader.
func (p picture) choose(role, name string) []cluster.Member {
	if name != "" {
		m, ok := p.view.Member(name)
		if !ok {
			return nil
		}
		return []cluster.Member{m}
	}
	if role == "" {
		role = "leader"
	}
	return p.withRole(role)
}

func (a *app) version(version string) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version [CLUSTER_NAME] [MEMBER_NAMES]...",
		Short:   "Print the version of this program, and of the members of a cluster",
		Example: "  version\n  version mycluster",
	}
	group := groupFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := noGroups(group); err != nil {
			return err
		}
		a.say("patronictl version %s\n", version)
		if len(args) == 0 {
			return nil
		}
		return a.one(cmd.Context(), args[:1], func(s *session, p picture) error {
			a.say("\n")
			c, err := s.client()
			if err != nil {
				return err
			}
			for _, m := range p.view.Members {
				if m.APIURL == "" || len(args) > 1 && !slices.Contains(args[1:], m.Name) {
					continue
				}
				st, err := c.Status(cmd.Context(), m.APIURL)
				switch {
				case err != nil:
					a.say("%s: failed to get version: %v\n", m.Name, err)
				case st.ServerVersion == 0:
					a.say("%s: Patroni %s\n", m.Name, st.Version)
				default:
					a.say("%s: Patroni %s PostgreSQL %s\n", m.Name, st.Version, serverVersion(st.ServerVersion))
				}
			}
			return nil
		})
	}
	return cmd
}

// serverVersion prints server_version_num: two parts since PostgreSQL 10.
func serverVersion(n int) string {
	if n < 100000 {
		return fmt.Sprintf("%d.%d.%d", n/10000, n/100%100, n%100)
	}
	return fmt.Sprintf("%d.%d", n/10000, n%10000)
}

// sortedNames are the names of members.
func sortedNames(members []cluster.Member) []string {
	var names []string
	for _, m := range members {
		names = append(names, m.Name)
	}
	sort.Strings(names)
	return names
}
