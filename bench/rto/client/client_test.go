package client

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"matriarch/bench/rto/figures"
)

const (
	binDir   = "/usr/lib/postgresql/15/bin"
	patience = 30 * time.Second
)

// server is a PostgreSQL for the test alone.
type server struct {
	t    *testing.T
	dir  string
	port int
}

func newServer(t *testing.T) *server {
	t.Helper()
	if _, err := os.Stat(filepath.Join(binDir, "postgres")); err != nil {
		t.Skip("no PostgreSQL on this machine")
	}
	dir, err := os.MkdirTemp("", "rto-client-") // short, for the socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if who := account(t); who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	hold, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, dir: dir, port: hold.Addr().(*net.TCPAddr).Port}
	hold.Close()
	s.run("initdb", "--auth=trust", "--username=postgres", "--no-sync", s.data())
	t.Cleanup(func() { _ = s.try("pg_ctl", "--pgdata="+s.data(), "--mode=immediate", "stop") })
	s.start()
	return s
}

func account(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		t.Skip("PostgreSQL does not run as root, and there is no user postgres")
	}
	uid, errUID := strconv.Atoi(who.Uid)
	gid, errGID := strconv.Atoi(who.Gid)
	if errUID != nil || errGID != nil {
		t.Fatal(errUID, errGID)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }

func (s *server) start() {
	s.run("pg_ctl", "--pgdata="+s.data(), "--wait", "--log="+filepath.Join(s.dir, "log"),
		fmt.Sprintf("--options=-c listen_addresses=127.0.0.1 -c port=%d -c unix_socket_directories=%s -c fsync=off", s.port, s.dir), "start")
}

func (s *server) run(program string, args ...string) {
	s.t.Helper()
	if err := s.try(program, args...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) try(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(binDir, program), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account(s.t)}
	// No pipe: the server would hold it open.
	out, err := os.Create(filepath.Join(s.dir, program+".out"))
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s: %w: %s", program, err, said)
	}
	return nil
}

func (s *server) url() string {
	return (&url.URL{Scheme: "postgres", User: url.User("postgres"), Host: fmt.Sprintf("127.0.0.1:%d", s.port), Path: "/postgres"}).String()
}

func (s *server) exec(statement string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		s.t.Fatal(err)
	}
}

// awaitAttempt waits for an attempt, sent from now on, that satisfies a condition.
func awaitAttempt(t *testing.T, c *Client, what string, condition func(figures.Attempt) bool) {
	t.Helper()
	from := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, a := range c.Since(from) {
			if condition(a) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not seen: %s", what)
		}
	}
}

func acknowledged(a figures.Attempt) bool { return a.OK && a.ID > 0 && a.Node == "n1" }
func refused(a figures.Attempt) bool      { return !a.OK && a.ID > 0 }
func unreachable(a figures.Attempt) bool  { return !a.OK && a.ID == 0 }

func TestAWriterGoesOnWhateverHappensToItsServer(t *testing.T) {
	s := newServer(t)
	s.exec("create table " + Table + " (id bigint primary key, node text not null)")
	ctx, cancel := context.WithCancel(t.Context())
	c := New(ctx)
	defer c.Wait()
	defer cancel()
	stopped, err := c.Write(ctx, Target{Node: "n1", URL: s.url()})
	if err != nil {
		t.Fatal(err)
	}
	awaitAttempt(t, c, "a commit", acknowledged)

	s.exec("create function refuse() returns trigger language plpgsql as $$ begin raise sqlstate '25006'; end $$")
	s.exec("create trigger refuse before insert on " + Table + " execute function refuse()")
	awaitAttempt(t, c, "a refusal", refused)
	first := connections(t, s)
	s.exec("drop trigger refuse on " + Table)
	awaitAttempt(t, c, "a commit after refusals", acknowledged)
	if again := connections(t, s); again != first {
		t.Errorf("the connection was not kept: %s, then %s", first, again)
	}

	s.run("pg_ctl", "--pgdata="+s.data(), "--mode=immediate", "stop")
	awaitAttempt(t, c, "a try to connect in vain", unreachable)
	s.start()
	awaitAttempt(t, c, "a commit after the restart", acknowledged)

	cancel()
	<-stopped
	compare(t, s, c)
}

// connections names the backends of the writer.
func connections(t *testing.T, s *server) string {
	t.Helper()
	return value(t, s, "select string_agg(pid::text, ' ') from pg_stat_activity where application_name = 'rto'")
}

func value(t *testing.T, s *server, query string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var text string
	if err := conn.QueryRow(ctx, "select coalesce(("+query+")::text, '')").Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

// compare looks for every acknowledged row in the table.
func compare(t *testing.T, s *server, c *Client) {
	t.Helper()
	there := map[int64]bool{}
	for _, id := range strings.Fields(value(t, s, "select string_agg(id::text, ' ') from "+Table+" where node = 'n1'")) {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		there[n] = true
	}
	if lost, _ := figures.Lost(c.Since(time.Time{}), there); lost != 0 {
		t.Errorf("%d acknowledged rows are not in the table", lost)
	}
	c.Forget()
	if left := c.Since(time.Time{}); len(left) != 0 {
		t.Errorf("%d attempts are remembered", len(left))
	}
}

func TestTheWorstLagWithinATime(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	l := lag{late: []lateness{{at(100), 30 * time.Millisecond}, {at(500), 10 * time.Millisecond}}}
	for _, c := range []struct{ from, to, want int }{{0, 1000, 30}, {200, 1000, 10}, {0, 60, 0}, {0, 80, 30}, {600, 1000, 0}} {
		if got := l.worst(at(c.from), at(c.to)); got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("from %d to %d: %v, want %d ms", c.from, c.to, got, c.want)
		}
	}
}
