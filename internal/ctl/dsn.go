package ctl

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"matriarch/internal/cluster"
)

var dsnColumns = []column{{name: "Member"}, {name: "Host"}, {name: "Port"}}

// connection is what a connection string says beside where the servers are.
type connection struct {
	user, database, sslmode string
	target                  string // libpq's target_session_attrs; empty: any server will do
}

func (a *app) dsn() *cobra.Command {
	role := &choice{allowed: roles}
	var name string
	var all, uri bool
	var c connection
	cmd := &cobra.Command{
		Use:   "dsn [CLUSTER_NAME]",
		Short: "Print where a member is, as a connection string for psql",
		Example: "  psql \"$(matriarch dsn -c /etc/patroni.yml) dbname=postgres\"\n  dsn -c /etc/patroni.yml -r replica\n" +
			"  dsn -c /etc/patroni.yml --all --uri --username app --dbname shop",
		Args: atMost(1),
	}
	f := cmd.Flags()
	group, format := groupFlag(f), formatFlag(f)
	f.VarP(role, "role", "r", "a member of this role (leader unless given): "+fmt.Sprint(roles))
	f.StringVarP(&name, "member", "m", "", "the member of this name")
	f.BoolVar(&all, "all", false, "all members, of which the client takes the primary, or with -r replica a standby if there is one")
	f.BoolVar(&uri, "uri", false, "in the form postgresql://…")
	f.StringVar(&c.user, "username", "", "user")
	f.StringVar(&c.database, "dbname", "", "database")
	f.StringVar(&c.sslmode, "sslmode", "", "libpq's sslmode")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case role.value != "" && name != "":
			return fail("--role and --member are mutually exclusive options")
		case all && name != "":
			return fail("--all and --member are mutually exclusive options")
		}
		return a.one(cmd.Context(), args, group, func(_ *session, p picture) error {
			members := p.choose(role.value, name)
			if all {
				members, c.target = p.members(), sessionOf(role.value)
			}
			var rows []row
			for _, m := range members {
				if host, port, ok := m.Address(); ok && (all || len(rows) == 0) {
					rows = append(rows, row{"Member": m.Name, "Host": host, "Port": port})
				}
			}
			switch {
			case len(rows) == 0:
				return fail("Can not find a suitable member")
			case format.value != "pretty":
				a.say("%s", encodeRows(format.value, dsnColumns, rows))
			case uri:
				a.say("%s\n", c.uri(rows))
			default:
				a.say("%s\n", c.words(rows))
			}
			return nil
		})
	}
	return cmd
}

// sessionOf is by what libpq finds a server of that role among several.
func sessionOf(role string) string {
	switch role {
	case string(cluster.RoleReplica), "standby":
		return "prefer-standby" // libpq 14 and later
	case "any":
		return ""
	}
	return "read-write"
}

// words is the form of keywords and values.
func (c connection) words(rows []row) string {
	var hosts, ports []string
	for _, r := range rows {
		hosts, ports = append(hosts, fmt.Sprint(r["Host"])), append(ports, fmt.Sprint(r["Port"]))
	}
	out := []string{"host=" + strings.Join(hosts, ","), "port=" + strings.Join(ports, ",")}
	for _, w := range []struct{ name, value string }{{"user", c.user}, {"dbname", c.database}, {"sslmode", c.sslmode}, {"target_session_attrs", c.target}} {
		switch {
		case w.value == "":
		case strings.ContainsAny(w.value, " '\\\t\n"):
			out = append(out, w.name+"="+quoteDSN(w.value))
		default:
			out = append(out, w.name+"="+w.value)
		}
	}
	return strings.Join(out, " ")
}

// uri is the form postgresql://.
func (c connection) uri(rows []row) string {
	var hosts []string
	for _, r := range rows {
		hosts = append(hosts, net.JoinHostPort(fmt.Sprint(r["Host"]), strconv.Itoa(r["Port"].(int))))
	}
	out := "postgresql://"
	if c.user != "" {
		out += escaped(c.user) + "@"
	}
	out += strings.Join(hosts, ",") + "/" + escaped(c.database)
	more := url.Values{}
	for name, value := range map[string]string{"sslmode": c.sslmode, "target_session_attrs": c.target} {
		if value != "" {
			more.Set(name, value)
		}
	}
	if len(more) > 0 {
		out += "?" + more.Encode()
	}
	return out
}

// escaped leaves nothing as it is that has a meaning of its own before or behind the
// hosts.
func escaped(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
