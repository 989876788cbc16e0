package daemon

import (
	"context"
	"fmt"
	"time"

	"matriarch/internal/config"
	"matriarch/internal/dcs/embedded"
	"matriarch/internal/store"
)

// etcdStopTimeout bounds the end of the embedded etcd: its data is on the disk
// already, so an end by force loses nothing.
const etcdStopTimeout = 5 * time.Second

// openStore starts the embedded etcd where there is one, and connects. It waits
// for the store as long as ctx lasts: without it there is nothing to do (B-740), but
// for a node that goes on with a lead (openLate).
func (d *Daemon) openStore(ctx context.Context, c *config.Config) error {
	if c.Embedded != nil && d.etcd == nil {
		server, err := embedded.Start(ctx, d.embeddedConfig(c))
		if err != nil {
			return err
		}
		d.etcd = server
		d.log.Info("the embedded etcd runs", "data_dir", c.Embedded.DataDir)
	}
	d.mu.Lock()
	retry := d.effective.RetryTimeout
	d.mu.Unlock()
	st, err := store.Open(ctx, c, store.Options{RetryTimeout: retry, Now: d.clock.Now, Logger: d.log})
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	if etcd, takes := st.(credentialed); takes {
		d.mu.Lock()
		d.credentials = etcd
		d.mu.Unlock()
		d.renewCredentials() // the file may have been read again meanwhile
	}
	d.store.open(timedStore{st, d.times})
	return nil
}

// credentialed is a store that takes another user and password while it is open.
type credentialed interface {
	SetCredentials(username, password string)
}

// renewCredentials gives the store the user and the password of the configuration in
// force, for its next request for a token: the connections stay as they are.
func (d *Daemon) renewCredentials() {
	d.mu.Lock()
	etcd, local := d.credentials, d.local
	d.mu.Unlock()
	if etcd != nil && local.Etcd != nil {
		etcd.SetCredentials(local.Etcd.Username, local.Etcd.Password.Reveal())
	}
}

// closeStore ends what openStore has begun.
func (d *Daemon) closeStore() {
	if err := d.store.Close(); err != nil {
		d.log.Warn("the store could not be closed", "err", err)
	}
	if d.etcd == nil {
		return
	}
	stop, cancel := context.WithTimeout(context.Background(), etcdStopTimeout)
	defer cancel()
	if err := d.etcd.Stop(stop); err != nil {
		d.log.Warn("the embedded etcd did not end in order", "err", err)
	}
}

// openAgain is the pause after the store could not be opened.
const openAgain = 5 * time.Second

// openLate opens the store of a node that goes on with a lead. A failure is no reason
// to end: the other members carry the lead, and the server with it.
func (d *Daemon) openLate(ctx context.Context) {
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		d.mu.Lock()
		local := d.local
		d.mu.Unlock()
		err := d.openStore(ctx, local)
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			d.log.Error("the store cannot be opened; it will be tried again", "err", err)
		}
		again.Reset(openAgain)
	}
}

func (d *Daemon) embeddedConfig(c *config.Config) embedded.Config {
	out := embedded.Config{Name: c.Name, DataDir: c.Embedded.DataDir, ClusterToken: store.Prefix(c.Namespace, c.Scope), Logger: d.log}
	for _, m := range c.Embedded.Members {
		out.Members = append(out.Members, embedded.Member{Name: m.Name, Host: m.Host, ClientPort: m.ClientPort, PeerPort: m.PeerPort})
	}
	return out
}
