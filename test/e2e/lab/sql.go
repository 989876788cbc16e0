package lab

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Place is where a server is in the history of the cluster, by its own word.
type Place struct {
	Recovery bool
	Timeline int    // of the standby: the one it streams, 0 if it does not
	Slot     string // that it streams through
	Host     string // that it streams from
}

// lookLimit is how long one look may take that is repeated until it is liked.
const lookLimit = 3 * time.Second

// URL is a connection string for the superuser at these addresses.
func URL(addresses string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", SuperPassword), Host: addresses, Path: "/postgres"}
	return u.String()
}

// Connect opens a connection to the node's server.
func (n *Node) Connect(ctx context.Context) (*pgx.Conn, error) {
	return n.connectFrom(ctx, n.cluster.Client)
}

func (n *Node) connectFrom(ctx context.Context, from Network) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(URL(n.Host + ":5432"))
	if err != nil {
		return nil, err
	}
	config.ConnectTimeout = 2 * time.Second
	config.RuntimeParams["application_name"] = "lab"
	config.DialFunc = from.Dial
	return pgx.ConnectConfig(ctx, config)
}

// row runs a query on a connection that is kept, and reads its one row. A kept
// connection can be that of a server that has died since: then a new one counts.
func (n *Node) row(ctx context.Context, limit time.Duration, query string, into ...any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	kept := n.conn != nil
	err := n.rowOnce(ctx, query, into...)
	if err != nil && kept && n.conn == nil {
		err = n.rowOnce(ctx, query, into...)
	}
	return err
}

func (n *Node) rowOnce(ctx context.Context, query string, into ...any) error {
	if n.conn == nil {
		conn, err := n.Connect(ctx)
		if err != nil {
			return err
		}
		n.conn = conn
	}
	if err := n.conn.QueryRow(ctx, query).Scan(into...); err != nil {
		n.disconnect()
		return fmt.Errorf("%s at %s: %w", query, n.Name, err)
	}
	return nil
}

func (n *Node) disconnect() {
	if n.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = n.conn.Close(ctx) // it may be dead; it is not used again
		n.conn = nil
	}
}

// Place asks the server.
func (n *Node) Place(ctx context.Context) (Place, error) {
	var p Place
	err := n.row(ctx, lookLimit, `select pg_is_in_recovery(),
		case when pg_is_in_recovery() then coalesce((select received_tli from pg_stat_wal_receiver where status = 'streaming'), 0)
		else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end,
		coalesce((select slot_name from pg_stat_wal_receiver), ''), coalesce((select sender_host from pg_stat_wal_receiver), '')`,
		&p.Recovery, &p.Timeline, &p.Slot, &p.Host)
	return p, err
}

// Timeline is the one that the server writes or streams.
func (n *Node) Timeline() int {
	n.t.Helper()
	p, err := n.Place(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	return p.Timeline
}

// Value asks the server for one value as text.
func (n *Node) Value(query string) string {
	n.t.Helper()
	var text string
	if err := n.row(n.t.Context(), Patience, "select ("+query+")::text", &text); err != nil {
		n.t.Fatal(err)
	}
	return text
}

// Run executes statements, one transaction each.
func (n *Node) Run(statements ...string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), Patience)
	defer cancel()
	conn, err := n.Connect(ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			n.t.Fatalf("%s at %s: %v", s, n.Name, err)
		}
	}
}

// WaitReplayed waits until every standby that runs has replayed all that the
// leader has written.
func (c *Cluster) WaitReplayed(leader *Node) {
	c.t.Helper()
	end := leader.Value("pg_current_wal_lsn()")
	for _, n := range c.Others(leader) {
		if n.Agent == nil || !n.Agent.Running() {
			continue
		}
		Eventually(c.t, Patience, n.Name+" has replayed "+end, func(ctx context.Context) (bool, string) {
			var done bool
			var at string
			err := n.row(ctx, lookLimit, "select pg_last_wal_replay_lsn() >= '"+end+"'::pg_lsn, pg_last_wal_replay_lsn()::text", &done, &at)
			return err == nil && done, fmt.Sprint(at, " ", err)
		})
	}
}

// FreezeWalsenders stops the processes that send the server's log, so that what
// is written from now on reaches nobody. KillNode ends them with the rest.
func (n *Node) FreezeWalsenders() {
	n.t.Helper()
	pids := strings.Fields(n.Value("select coalesce(string_agg(pid::text, ' '), '') from pg_stat_replication"))
	if len(pids) == 0 {
		n.t.Fatalf("nobody streams from %s", n.Name)
	}
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGSTOP)
		}
		if err != nil {
			n.t.Fatalf("freeze walsender %s of %s: %v", text, n.Name, err)
		}
	}
}

// RoleSeenFrom asks the server what it is from within a network: "primary" or
// "standby".
func (n *Node) RoleSeenFrom(ctx context.Context, from Network) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	conn, err := n.connectFrom(ctx, from)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	var role string
	err = conn.QueryRow(ctx, "select case when pg_is_in_recovery() then 'standby' else 'primary' end").Scan(&role)
	return role, err
}
