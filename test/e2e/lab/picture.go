package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Picture is what the store says of a cluster.
type Picture struct {
	Leader     string
	Lease      int64 // that the leader key hangs on
	Initialize string
	Members    map[string]Member
	Keys       map[string]string // everything, by the name below the prefix
}

// Member is what a node says of itself in the store.
type Member struct {
	State            string `json:"state"`
	Role             string `json:"role"`
	ReplicationState string `json:"replication_state"`
	Timeline         int    `json:"timeline"`
	ConnURL          string `json:"conn_url"`
	Progress         string `json:"progress"`
}

func (p Picture) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(p.Members)) {
		m := p.Members[name]
		parts = append(parts, fmt.Sprintf("%s: %s %s %s timeline %d %s", name, m.Role, m.State, m.ReplicationState, m.Timeline, m.Progress))
	}
	return fmt.Sprintf("leader %q, initialize %q, %s", p.Leader, p.Initialize, strings.Join(parts, "; "))
}

// Prefix is where the cluster's keys are.
func (c *Cluster) Prefix() string { return "/service/" + c.Scope + "/" }

// Picture reads the cluster from the store.
func (c *Cluster) Picture(ctx context.Context) (Picture, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	got, err := c.store.Get(ctx, c.Prefix(), clientv3.WithPrefix())
	if err != nil {
		return Picture{}, fmt.Errorf("read the keys of %s: %w", c.Scope, err)
	}
	p := Picture{Members: map[string]Member{}, Keys: map[string]string{}}
	for _, kv := range got.Kvs {
		key := strings.TrimPrefix(string(kv.Key), c.Prefix())
		p.Keys[key] = string(kv.Value)
		switch name, isMember := strings.CutPrefix(key, "members/"); {
		case isMember:
			var m Member
			if err := json.Unmarshal(kv.Value, &m); err != nil {
				return p, fmt.Errorf("read the key of member %s: %w", name, err)
			}
			p.Members[name] = m
		case key == "leader":
			p.Leader, p.Lease = string(kv.Value), kv.Lease
		case key == "initialize":
			p.Initialize = string(kv.Value)
		}
	}
	return p, nil
}

// WaitPicture waits until the store shows something.
func (c *Cluster) WaitPicture(limit time.Duration, what string, condition func(Picture) bool) Picture {
	c.t.Helper()
	var found Picture
	Eventually(c.t, limit, what, func(ctx context.Context) (bool, string) {
		p, err := c.Picture(ctx)
		if err != nil {
			return false, err.Error()
		}
		found = p
		return condition(p), p.String()
	})
	return found
}

// EndLease ends the lease of the leader key at once, as if ttl had passed since
// its holder died.
func (c *Cluster) EndLease() {
	c.t.Helper()
	Eventually(c.t, Patience, "the leader's lease is ended", func(ctx context.Context) (bool, string) {
		p, err := c.Picture(ctx)
		if err != nil || p.Lease == 0 {
			return err == nil, fmt.Sprint(err)
		}
		_, err = c.store.Revoke(ctx, clientv3.LeaseID(p.Lease))
		return err == nil, fmt.Sprint(err)
	})
}
