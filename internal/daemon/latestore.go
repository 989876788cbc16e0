package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"matriarch/internal/dcs"
)

// lateStore is the store, also while it is not open yet: an agent that is restarted
// under a running primary goes on with what the guard has kept, and must not wait for
// a store that is away. Until it is open the mirror is empty and not current, and
// every call fails at once with nothing written.
type lateStore struct {
	opened chan struct{} // receives a value when it is open

	mu sync.Mutex
	st dcs.Store // nil: not open
}

func newLateStore() *lateStore { return &lateStore{opened: make(chan struct{}, 1)} }

var errNotOpen = errors.New("the store is not open yet")

// open is called once.
func (l *lateStore) open(st dcs.Store) {
	l.mu.Lock()
	l.st = st
	l.mu.Unlock()
	l.opened <- struct{}{}
}

func (l *lateStore) store() dcs.Store {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.st
}

// Mirror is empty until the store is open.
func (l *lateStore) Mirror() (dcs.Snapshot, bool) {
	if st := l.store(); st != nil {
		return st.Mirror()
	}
	return dcs.Snapshot{}, false
}

// Changed is to be asked for again after it has received: it becomes the store's own.
func (l *lateStore) Changed() <-chan struct{} {
	if st := l.store(); st != nil {
		return st.Changed()
	}
	return l.opened
}

func (l *lateStore) Read(ctx context.Context) (dcs.Snapshot, error) {
	if st := l.store(); st != nil {
		return st.Read(ctx)
	}
	return dcs.Snapshot{}, errNotOpen
}

func (l *lateStore) Lease() dcs.Lease {
	if st := l.store(); st != nil {
		return st.Lease()
	}
	return dcs.Lease{}
}

func (l *lateStore) Renew(ctx context.Context, ttl time.Duration) (dcs.Lease, bool, error) {
	if st := l.store(); st != nil {
		return st.Renew(ctx, ttl)
	}
	return dcs.Lease{}, false, errNotOpen
}

// Commit says No while the store is not open, and not Unknown: nothing of it can be
// applied later.
func (l *lateStore) Commit(ctx context.Context, txn dcs.Txn) (int64, error) {
	if st := l.store(); st != nil {
		return st.Commit(ctx, txn)
	}
	return 0, fmt.Errorf("%w: %w", errNotOpen, dcs.ErrNoLease)
}

func (l *lateStore) Close() error {
	if st := l.store(); st != nil {
		return st.Close()
	}
	return nil
}

var _ dcs.Store = (*lateStore)(nil)
