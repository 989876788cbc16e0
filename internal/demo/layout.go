package demo

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// nodeCount is the least with which the store survives the loss of a node.
const nodeCount = 3

// layout is where everything is: one directory, one block of ports.
//
//	DIR/node1.yml        configuration (0600: it holds the passwords)
//	DIR/node1/data       PostgreSQL
//	DIR/node1/etcd       the embedded store
//	DIR/node1/run        sockets
//	DIR/logs/node1.log   what agent and server say
//	DIR/pgpass           for psql
type layout struct {
	dir      string
	owner    owner
	binaries binaries
	ports    *ports
	password string // of the superuser, new in every run
	repl     string // of the replication user
}

// scope is the cluster's name, seen in the store and in ps.
const scope = "demo"

func newLayout(parent string, o owner, b binaries) (_ *layout, err error) {
	l := &layout{owner: o, binaries: b, password: rand.Text(), repl: rand.Text()}
	if l.dir, err = makeDir(parent, o); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close(false, false))
		}
	}()
	if err := o.lend(l.dir); err != nil {
		return nil, fmt.Errorf("give %s to the servers' user: %w", l.dir, err)
	}
	if l.ports, err = takePorts(); err != nil {
		return nil, err
	}
	return l, l.fill()
}

// makeDir makes the directory where the servers' user can reach it and where a
// socket's path is not too long.
func makeDir(parent string, o owner) (string, error) {
	parents := []string{parent}
	if parent == "" {
		parents = []string{os.TempDir(), "/tmp"}
	}
	var reasons []error
	for _, p := range parents {
		p, err := filepath.Abs(p)
		if err == nil {
			err = suitable(p, o)
		}
		if err == nil {
			var dir string
			if dir, err = os.MkdirTemp(p, "matriarch-demo-"); err == nil {
				return dir, nil
			}
		}
		reasons = append(reasons, err)
	}
	return "", fmt.Errorf("make a directory for the demonstration: %w", errors.Join(reasons...))
}

// socketPathMax is in bytes: sun_path of unix(7) less its final zero.
const socketPathMax = 107

func suitable(parent string, o owner) error {
	longest := filepath.Join(parent, "matriarch-demo-4294967295", "node1", "run", ".s.PGSQL.65535")
	if n := len(longest); n > socketPathMax {
		return fmt.Errorf("%s is too long: a socket below it would have a path of %d bytes, and %d is the most", parent, n, socketPathMax)
	}
	if o.credential == nil {
		return nil
	}
	for dir := parent; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 == 0 {
			return fmt.Errorf("%s cannot be entered by user %s", dir, serverUser)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func (l *layout) name(i int) string { return "node" + strconv.Itoa(i+1) }
func (l *layout) path(parts ...string) string {
	return filepath.Join(append([]string{l.dir}, parts...)...)
}
func (l *layout) config(name string) string { return l.path(name + ".yml") }
func (l *layout) logs() string              { return l.path("logs") }
func (l *layout) log(name string) string    { return l.path("logs", name+".log") }
func (l *layout) pgpass() string            { return l.path("pgpass") }

// fill makes directories and files.
func (l *layout) fill() error {
	if err := l.mkdir(l.logs()); err != nil {
		return err
	}
	for i := range nodeCount {
		name := l.name(i)
		if err := l.mkdir(l.path(name)); err != nil {
			return err
		}
		if err := l.write(l.config(name), l.configText(i)); err != nil {
			return err
		}
	}
	return l.write(l.pgpass(), host+":*:*:postgres:"+l.password+"\n")
}

func (l *layout) mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return fmt.Errorf("make the demonstration's directory: %w", err)
	}
	return l.owner.lend(path)
}

func (l *layout) write(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the demonstration's file: %w", err)
	}
	return l.owner.lend(path)
}

// close gives the ports back and removes what was made: all of it, all but the
// logs, or nothing.
func (l *layout) close(keep, keepLogs bool) error {
	if l.ports != nil {
		l.ports.release()
	}
	switch {
	case keep:
		return nil
	case !keepLogs:
		return os.RemoveAll(l.dir)
	}
	entries, err := os.ReadDir(l.dir)
	errs := []error{err}
	for _, e := range entries {
		if e.Name() != filepath.Base(l.logs()) {
			errs = append(errs, os.RemoveAll(l.path(e.Name())))
		}
	}
	return errors.Join(errs...)
}

// hostsAndPorts are libpq's lists for a connection to whichever node is primary.
func (l *layout) hostsAndPorts() (hosts, ports string) {
	var h, p []string
	for i := range nodeCount {
		h, p = append(h, host), append(p, strconv.Itoa(l.ports.postgres(i)))
	}
	return strings.Join(h, ","), strings.Join(p, ",")
}
