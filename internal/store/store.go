// Package store opens the store that a configuration names: an etcd of its own,
// or the one that the members run themselves. To both it speaks as a client.
//
// It starts no server; where the store is embedded, daemon does that first.
package store

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"matriarch/internal/config"
	"matriarch/internal/dcs"
	"matriarch/internal/dcs/etcd"
)

// ErrNone says that the configuration names no store that can be used.
var ErrNone = errors.New("the configuration names no store: etcd3, etcd, or dcs: embedded is needed")

// Options are what the configuration does not say.
type Options struct {
	RetryTimeout   time.Duration    // budget of one operation; 0: the store's default
	RequestTimeout time.Duration    // of one request to one server; 0: the store's default
	Now            func() time.Time // clock of Lease.Sent; nil: time.Now
	Logger         *slog.Logger     // nil: none
}

// Open connects and reads the cluster's keys. It waits for the store as long as
// ctx lasts.
func Open(ctx context.Context, c *config.Config, o Options) (dcs.Store, error) {
	settings, err := Settings(c, o)
	if err != nil {
		return nil, err
	}
	s, err := etcd.Open(ctx, settings)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Settings are the store's own configuration.
func Settings(c *config.Config, o Options) (etcd.Config, error) {
	out := etcd.Config{
		Endpoints: Endpoints(c), Prefix: Prefix(c.Namespace, c.Scope),
		RetryTimeout: o.RetryTimeout, RequestTimeout: o.RequestTimeout, Now: o.Now, Logger: o.Logger,
	}
	switch e := c.Etcd; {
	case e != nil:
		out.Scheme, out.UseProxies, out.SRV, out.SRVSuffix = e.Protocol, e.UseProxies, e.SRV, e.SRVSuffix
		out.Username, out.Password = e.Username, e.Password.Reveal()
		out.TLS = etcd.TLS{CACert: e.CACert, Cert: e.Cert, Key: e.Key}
	case c.Embedded != nil:
		out.KeepOrder, out.Home = true, true // its own server first: no network between them
	default:
		return etcd.Config{}, ErrNone
	}
	return out, nil
}

// Endpoints are the addresses that are tried first, as URLs, or an SRV domain's
// name: what an error message should tell.
func Endpoints(c *config.Config) []string {
	var out []string
	switch {
	case c.Etcd != nil:
		return c.Etcd.Endpoints()
	case c.Embedded != nil:
		if own, ok := c.Embedded.Member(c.Name); ok {
			out = append(out, "http://"+own.Client().String())
		}
		for _, m := range c.Embedded.Members {
			if m.Name != c.Name {
				out = append(out, "http://"+m.Client().String())
			}
		}
	}
	return out
}

// Prefix is where a cluster's keys are: every run of slashes counts as one, so
// that namespace service, /service and /service/ are the same (compat/dcs.md §1).
func Prefix(namespace, scope string) string {
	if namespace == "" {
		namespace = "service"
	}
	var parts []string
	for part := range strings.SplitSeq(namespace+"/"+scope, "/") {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return "/" + strings.Join(parts, "/") + "/"
}
