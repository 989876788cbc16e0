package daemon

import (
	"context"
	"fmt"
	"time"

	"matriarch/internal/api/client"
	"matriarch/internal/config"
	"matriarch/internal/dcs"
	"matriarch/internal/dcs/embedded"
	"matriarch/internal/store"
)

// etcdStopTimeout bounds the end of the embedded etcd: its data is on the disk
// already, so an end by force loses nothing.
const etcdStopTimeout = 5 * time.Second

// openStore starts the embedded etcd where there is one, and connects. It waits
// for the store as long as ctx lasts: without it there is nothing to do (B-740).
func (d *Daemon) openStore(ctx context.Context, c *config.Config) (closeStore func(), st dcs.Store, err error) {
	closers := []func(){}
	closeStore = func() {
		for i := len(closers) - 1; i >= 0; i-- {
			closers[i]()
		}
	}
	peersClient, err := client.New(clientOptions(c))
	if err != nil {
		return closeStore, nil, err
	}
	d.peers = peers{peersClient}
	if c.Embedded != nil {
		server, err := embedded.Start(ctx, d.embeddedConfig(c))
		if err != nil {
			return closeStore, nil, err
		}
		d.etcd = server
		closers = append(closers, func() {
			stop, cancel := context.WithTimeout(context.Background(), etcdStopTimeout)
			defer cancel()
			if err := server.Stop(stop); err != nil {
				d.log.Warn("the embedded etcd did not end in order", "err", err)
			}
		})
		d.log.Info("the embedded etcd runs", "data_dir", c.Embedded.DataDir)
	}
	st, err = store.Open(ctx, c, store.Options{RetryTimeout: d.effective.RetryTimeout, Now: d.clock.Now, Logger: d.log})
	if err != nil {
		return closeStore, nil, fmt.Errorf("open the store: %w", err)
	}
	closers = append(closers, func() {
		if err := st.Close(); err != nil {
			d.log.Warn("the store could not be closed", "err", err)
		}
	})
	return closeStore, newTimedStore(st), nil
}

func (d *Daemon) embeddedConfig(c *config.Config) embedded.Config {
	out := embedded.Config{Name: c.Name, DataDir: c.Embedded.DataDir, ClusterToken: store.Prefix(c.Namespace, c.Scope), Logger: d.log}
	for _, m := range c.Embedded.Members {
		out.Members = append(out.Members, embedded.Member{Name: m.Name, Host: m.Host, ClientPort: m.ClientPort, PeerPort: m.PeerPort})
	}
	return out
}
