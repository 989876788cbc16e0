package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// lookLimit is how long one look may take.
const lookLimit = 2 * time.Second

// URL is where the superuser connects to the node's server.
func (n *Node) URL() string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", password), Host: n.Host + ":5432", Path: "/postgres"}
	return u.String()
}

// Row reads one row of the node's server, on a connection that is kept.
func (n *Node) Row(ctx context.Context, query string, args []any, into ...any) error {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	if n.conn == nil {
		conn, err := pgx.Connect(ctx, n.URL())
		if err != nil {
			return err
		}
		n.conn = conn
	}
	err := n.conn.QueryRow(ctx, query, args...).Scan(into...)
	if err != nil {
		n.disconnect()
	}
	return err
}

func (n *Node) disconnect() {
	if n.conn == nil {
		return
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.conn.Close(ended) // it is not used again
	n.conn = nil
}

// Exec carries out statements, one transaction each.
func (n *Node) Exec(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, n.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s at %s: %w", s, n.Name, err)
		}
	}
	return nil
}

// Numbers reads a column of numbers.
func (n *Node) Numbers(ctx context.Context, query string) ([]int64, error) {
	conn, err := pgx.Connect(ctx, n.URL())
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// Streams reports whether a standby streams from this node.
func (n *Node) Streams(ctx context.Context, standby *Node) (bool, error) {
	var yes bool
	err := n.Row(ctx, "select exists (select from pg_stat_replication where host(client_addr) = $1 and application_name = $2 and state = 'streaming')",
		[]any{standby.Host, standby.Name}, &yes)
	return yes, err
}

// Whole is the one primary, whose lease its agent confirms and from which all the
// others stream; an error says what is missing.
func (c *Cluster) Whole(ctx context.Context) (*Node, error) {
	var primary *Node
	for _, n := range c.Nodes {
		var recovery bool
		if err := n.Row(ctx, "select pg_is_in_recovery()", nil, &recovery); err != nil {
			return nil, fmt.Errorf("look at %s: %w", n.Name, err)
		}
		switch {
		case recovery:
		case primary != nil:
			return nil, fmt.Errorf("%s and %s are both primary", primary.Name, n.Name)
		default:
			primary = n
		}
	}
	if primary == nil {
		return nil, errors.New("no node is primary")
	}
	for _, n := range c.Others(primary) {
		if yes, err := primary.Streams(ctx, n); err != nil || !yes {
			return nil, fmt.Errorf("%s streams from %s: %v, %v", n.Name, primary.Name, yes, err)
		}
		if code, err := n.Get(ctx, "/replica"); err != nil || code != http.StatusOK {
			return nil, fmt.Errorf("GET /replica at %s: %d, %v", n.Name, code, err)
		}
	}
	if code, err := primary.Get(ctx, "/primary"); err != nil || code != http.StatusOK {
		return nil, fmt.Errorf("GET /primary at %s: %d, %v", primary.Name, code, err)
	}
	return primary, nil
}

// Get asks the node's REST interface.
func (n *Node) Get(ctx context.Context, path string) (int, error) {
	code, _, err := n.ask(ctx, lookLimit, http.MethodGet, "http://"+n.Host+":8008"+path, "")
	return code, err
}

// Switchover asks the node's REST interface to make another node the leader, and
// waits for the answer.
func (n *Node) Switchover(ctx context.Context, leader, candidate *Node) error {
	body := fmt.Sprintf(`{"leader":%q,"candidate":%q}`, leader.Name, candidate.Name)
	code, text, err := n.ask(ctx, time.Minute, http.MethodPost, "http://"+n.Host+":8008/switchover", body)
	if err != nil || code != http.StatusOK {
		return fmt.Errorf("POST /switchover %s at %s: %d %s, %v", body, n.Name, code, text, err)
	}
	return nil
}

// LeadsEtcd reports whether the node's etcd leads the others.
func (n *Node) LeadsEtcd(ctx context.Context) (bool, error) {
	_, text, err := n.ask(ctx, lookLimit, http.MethodGet, "http://"+n.Host+":2379/metrics", "")
	return strings.Contains(text, "\netcd_server_is_leader 1\n"), err
}

func (n *Node) ask(ctx context.Context, limit time.Duration, method, url, body string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}
