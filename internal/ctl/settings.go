package ctl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
	"matriarch/internal/config"
	"matriarch/internal/dcs"
	"matriarch/internal/store"
)

// load reads the configuration: the file of -c, else of PATRONICTL_CONFIG_FILE,
// else the one in the user's directory, and PATRONI_* variables over it. Nothing
// of it has to be right but what the commands use.
func (a *app) load() (*config.Config, error) {
	path, given := a.configFile, true
	if path == "" {
		path = a.getenv("PATRONICTL_CONFIG_FILE")
	}
	if path == "" {
		path, given = a.defaultPath(), false
	}
	if _, err := os.ReadDir(path); err != nil {
		f, err := os.Open(path)
		if err == nil {
			_ = f.Close()
		} else if given {
			return nil, fail("Provided config file %s not existing or no read rights. Check the -c/--config-file parameter", path)
		} else {
			path = ""
		}
	}
	c, _, err := config.Load(path, a.Environ)
	switch {
	case c != nil:
	case errors.Is(err, config.ErrEmpty):
		c = &config.Config{} // the store can still be given by --dcs-url
	default:
		return nil, fail("%v", err)
	}
	if err := a.useURL(c); err != nil {
		return nil, err
	}
	return c, nil
}

func (a *app) defaultPath() string {
	dir := a.getenv("XDG_CONFIG_HOME")
	if dir == "" {
		dir = filepath.Join(a.getenv("HOME"), ".config")
	}
	return filepath.Join(dir, "patroni", "patronictl.yaml")
}

// useURL lets --dcs-url replace the store: [scheme://][host][:port][/namespace].
// Without a scheme it is etcd's v3 protocol, the only one that is spoken.
func (a *app) useURL(c *config.Config) error {
	text := a.dcsURL
	if text == "" {
		text = a.getenv("DCS_URL")
	}
	if text == "" {
		return nil
	}
	if !strings.Contains(text, "://") {
		text = "etcd3://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return fail("Unable to parse the dcs url")
	}
	if u.Scheme != "etcd3" && u.Scheme != "etcd" {
		return fail("Unknown dcs scheme: %s", u.Scheme)
	}
	host, port := u.Hostname(), u.Port()
	if host == "" {
		host = "localhost"
	}
	if port == "" {
		port = "2379"
	}
	c.Etcd, c.Embedded = &config.EtcdConfig{Hosts: []string{net.JoinHostPort(host, port)}, Protocol: "http"}, nil
	if namespace := strings.Trim(u.Path, "/"); namespace != "" {
		c.Namespace = namespace
	}
	return nil
}

// session is an open store with the cluster's name.
type session struct {
	*app
	store  dcs.Store
	config *config.Config
	name   string
	citus  bool
	group  int // noGroup: none, or all
}

// open connects to the named cluster, or to the one of the configuration.
func (a *app) open(ctx context.Context, name string, g *groupOption) (*session, error) {
	c, err := a.load()
	if err != nil {
		return nil, err
	}
	if name != "" {
		own := *c
		own.Scope, c = name, &own
	}
	if c.Scope == "" {
		return nil, fail("no cluster name: give one as an argument, or set scope in the configuration")
	}
	if len(store.Endpoints(c)) == 0 && (c.Etcd == nil || c.Etcd.SRV == "") {
		return nil, fail("Can not find suitable configuration of distributed configuration store\nAvailable implementations: etcd, etcd3, embedded")
	}
	citus, group := g.choose(c)
	where := *c
	if group != noGroup {
		where.Scope = fmt.Sprintf("%s/%d", c.Scope, group)
	}
	limited, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	patient := a.sayWaiting(c)
	s, err := a.Open(limited, &where, store.Options{RetryTimeout: a.timeout})
	patient()
	if err != nil {
		return nil, a.unreachable(ctx, c, err)
	}
	return &session{app: a, store: s, config: c, name: c.Scope, citus: citus, group: group}, nil
}

// storeIsSlow is after what silence a person wants to know what is going on.
const storeIsSlow = 2 * time.Second

// sayWaiting tells on a terminal that the store does not answer, once it has been silent
// for a while. What it returns ends that, and must be called.
func (a *app) sayWaiting(c *config.Config) (stop func()) {
	if !a.live() {
		return func() {}
	}
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		timer := time.NewTimer(storeIsSlow)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			fmt.Fprintf(a.Err, "waiting for the store at %s, at most %v\n", places(c), a.timeout)
		}
	})
	return func() { close(done); wait.Wait() }
}

// places are where the store is looked for: the first thing that an operator has to
// check.
func places(c *config.Config) string {
	where := strings.Join(store.Endpoints(c), ", ")
	if where == "" && c.Etcd != nil {
		where = "the servers of SRV domain " + c.Etcd.SRV
	}
	return where
}

// unreachable says where the store was looked for.
func (a *app) unreachable(ctx context.Context, c *config.Config, err error) error {
	if ctx.Err() != nil {
		return errAborted
	}
	where := places(c)
	cause := strings.ReplaceAll(err.Error(), "\n", "; ") // one line
	if errors.Is(err, context.DeadlineExceeded) {
		return fail("the store did not answer within %v, tried %s: %s", a.timeout, where, cause)
	}
	return fail("the store cannot be used, tried %s: %s", where, cause)
}

func (s *session) close() { _ = s.store.Close() } // nothing depends on it any more

// read fetches the cluster as it is now.
func (s *session) read(ctx context.Context) (picture, error) {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	snapshot, err := s.store.Read(limited)
	if err != nil {
		return picture{}, s.unreachable(ctx, s.config, err)
	}
	return s.picture(snapshot), nil
}

func (s *session) picture(snapshot dcs.Snapshot) picture {
	if s.citus && s.group == noGroup {
		return citusPicture(s.name, snapshot)
	}
	p := newPicture(s.name, snapshot.View())
	p.citus, p.group = s.citus, s.group
	return p
}

// commit writes, within the store's deadline.
func (s *session) commit(ctx context.Context, txn dcs.Txn) error {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	_, err := s.store.Commit(limited, txn)
	return err
}

// key is where the cluster has a key: below the coordinator's number when all
// groups of a Citus cluster are open.
func (s *session) key(name string) string {
	if s.citus && s.group == noGroup {
		return "0/" + name
	}
	return name
}

// mirrored is the cluster as last heard of; it does not wait.
func (s *session) mirrored() cluster.View {
	snapshot, _ := s.store.Mirror()
	return s.picture(snapshot).view
}

// client speaks to the members with the configured certificates and password.
func (s *session) client() (*client.Client, error) { return newClient(s.app, s.config) }

func newClient(a *app, c *config.Config) (*client.Client, error) {
	out, err := client.New(client.Options{
		Username: c.Ctl.Username, Password: c.Ctl.Password.Reveal(), CACert: c.Ctl.CACert,
		CertFile: c.Ctl.CertFile, KeyFile: c.Ctl.KeyFile, KeyPassword: c.Ctl.KeyFilePassword.Reveal(),
		Insecure: c.Ctl.Insecure || a.insecure, UserAgent: "Matriarch ctl",
	})
	if err != nil {
		return nil, fail("%v", err)
	}
	return out, nil
}

// one runs a command about one cluster, named by the first argument or the
// configuration.
func (a *app) one(ctx context.Context, args []string, g *groupOption, do func(*session, picture) error) error {
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	s, err := a.open(ctx, name, g)
	if err != nil {
		return err
	}
	defer s.close()
	p, err := s.read(ctx)
	if err != nil {
		return err
	}
	return do(s, p)
}

// stamp is the time in front of a line about an action: local, five digits of a
// second.
func (a *app) stamp() string {
	now := a.Now().Local()
	return fmt.Sprintf("%s.%05d", now.Format(time.DateTime), now.Nanosecond()/10000)
}
