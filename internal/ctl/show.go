package ctl

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"matriarch/internal/cluster"
)

var historyColumns = []column{
	{name: "TL", header: "TL", right: true}, {name: "LSN", header: "LSN", right: true}, {name: "Reason", header: "Reason"},
	{name: "Timestamp", header: "Timestamp"}, {name: "New Leader", header: "New Leader"},
}

func (a *app) history() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "history [CLUSTER_NAME]",
		Short: "Show the failovers and switchovers that the cluster has had",
		Long: "Show the failovers and switchovers that the cluster has had: a line for each timeline that has\n" +
			"ended. With --explain the story of each of the latest ones: what the members saw, what they\n" +
			"decided and did, and when. Only Matriarch's members tell it.",
		Example: "  history -c /etc/patroni.yml\n  history -c /etc/patroni.yml --explain",
		Args:    atMost(1),
	}
	group := configuredGroupFlag(cmd.Flags())
	format := formatFlag(cmd.Flags())
	explain := cmd.Flags().Bool("explain", false, "what was seen, decided and done in each of the latest ones, with times")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.one(cmd.Context(), args, group, func(s *session, p picture) error {
			if *explain {
				return s.accounts(format.value)
			}
			var rows []row
			for _, l := range p.view.History.Lines {
				rows = append(rows, row{"TL": int(l.Timeline), "LSN": uint64(l.LSN), "Reason": l.Reason, "Timestamp": l.When, "New Leader": l.NewLeader})
			}
			if format.value == "pretty" {
				a.say("%s", plainTable(historyColumns, rows))
				return nil
			}
			a.say("%s", encodeRows(format.value, historyColumns, rows))
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
	group := configuredGroupFlag(cmd.Flags())
	format := &choice{value: "yaml", allowed: []string{"yaml", "yml", "json"}}
	cmd.Flags().VarP(format, "format", "f", "output format: yaml, json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.one(cmd.Context(), args, group, func(_ *session, p picture) error {
			switch document := p.view.Config.Document; {
			case p.view.Config.Modified == 0 || document == nil:
			case format.value == "json":
				a.say("%s\n", jsonText(document))
			default:
				a.say("%s\n", YAML(document))
			}
			return nil
		})
	}
	return cmd
}

// version prints the given line, and what the members say of themselves.
func (a *app) version(version string) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version [CLUSTER_NAME] [MEMBER_NAMES]...",
		Short:   "Print the version of this program, and of the members of a cluster",
		Example: "  version\n  version mycluster",
	}
	group := groupFlag(cmd.Flags())
	format := formatFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := a.results("version", format.value)
		r.line("%s\n", version)
		r.add(outcome{Result: resultDone, Text: version})
		if len(args) == 0 {
			return r.end()
		}
		err := a.one(cmd.Context(), args[:1], group, func(s *session, p picture) error {
			return s.memberVersions(cmd.Context(), p, args[1:], r)
		})
		if err != nil {
			return err
		}
		// A member that is down is what one looks for here, not a failure.
		r.document()
		return nil
	}
	return cmd
}

func (s *session) memberVersions(ctx context.Context, p picture, names []string, r *results) error {
	if unknown := p.unknownNames(names); s.Strict && len(unknown) > 0 {
		return fail("%s: not a member of cluster %s", strings.Join(unknown, ", "), s.name)
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	r.line("\n")
	for _, m := range p.members() {
		if m.APIURL == "" || len(names) > 0 && !slices.Contains(names, m.Name) {
			continue
		}
		st, err := c.Status(ctx, m.APIURL)
		switch {
		case ctx.Err() != nil:
			return errAborted
		case err != nil:
			r.line("%s: failed to get version: %v\n", m.Name, err)
			r.add(outcome{Member: m.Name, Result: resultUnreachable, Text: err.Error()})
			continue
		}
		text := "Patroni " + st.Version
		if st.ServerVersion != 0 {
			text += " PostgreSQL " + serverVersion(st.ServerVersion)
		}
		r.line("%s: %s\n", m.Name, text)
		r.add(outcome{Member: m.Name, Result: resultDone, Text: text})
	}
	return nil
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
