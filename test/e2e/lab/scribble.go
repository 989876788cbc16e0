package lab

import (
	"context"
	"time"
)

// Scribble puts a text under a key of the cluster, as somebody does by mistake: without
// a lease, whatever is there.
func (c *Cluster) Scribble(key, text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	if _, err := c.store.Put(ctx, c.Prefix()+key, text); err != nil {
		c.t.Fatalf("put %d bytes under %s: %v", len(text), key, err)
	}
}

// Erase removes a key of the cluster.
func (c *Cluster) Erase(key string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	if _, err := c.store.Delete(ctx, c.Prefix()+key); err != nil {
		c.t.Fatalf("remove %s: %v", key, err)
	}
}
