package demo

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/config"
	"matriarch/internal/dcs"
	"matriarch/internal/store"
)

// watch sees the cluster as its members see it: by the store.
type watch struct {
	store dcs.Store
	wait  sync.WaitGroup
	end   context.CancelFunc

	mu      sync.Mutex
	view    cluster.View
	changed chan struct{} // closed at the next change
}

// openWatch connects to the embedded store. It waits until that has a majority.
func openWatch(ctx context.Context, l *layout, log *slog.Logger) (*watch, error) {
	c, _, err := config.Load(l.config(l.name(0)), nil)
	if err != nil {
		return nil, fmt.Errorf("read the configuration that was just written: %w", err)
	}
	st, err := store.Open(ctx, c, store.Options{Logger: log})
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded store: %w", err)
	}
	own, end := context.WithCancel(context.Background())
	w := &watch{store: st, end: end, changed: make(chan struct{})}
	w.take()
	w.wait.Go(func() {
		for {
			select {
			case <-st.Changed():
				w.take()
			case <-own.Done():
				return
			}
		}
	})
	return w, nil
}

func (w *watch) take() {
	snapshot, _ := w.store.Mirror()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.view = snapshot.View()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *watch) look() (cluster.View, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.view, w.changed
}

// await waits until the cluster satisfies a condition and says when that was.
func (w *watch) await(ctx context.Context, ok func(cluster.View) bool) (cluster.View, time.Time, error) {
	for {
		v, changed := w.look()
		if ok(v) {
			return v, time.Now(), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return v, time.Time{}, context.Cause(ctx)
		}
	}
}

func (w *watch) close() {
	w.end()
	w.wait.Wait()
	_ = w.store.Close() // the servers are about to end anyway
}

// leads reports that the leader's server takes writes.
func leads(v cluster.View) bool {
	m, ok := v.LeaderMember()
	return ok && m.Role == cluster.RolePrimary && m.State == cluster.StateRunning && m.Timeline > 0
}

// streams reports that the member streams on the leader's timeline. Only what it
// wrote after that revision counts: the key of its earlier life may still be there.
func streams(v cluster.View, name string, after int64) bool {
	leader, _ := v.LeaderMember()
	m, ok := v.Member(name)
	return ok && m.Modified > after && m.State == cluster.StateRunning && m.ReplicationState == cluster.Streaming &&
		m.Timeline == leader.Timeline
}
