package daemon

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	"matriarch/internal/dcs/memory"
)

func accountBy(name string) cluster.Account {
	return cluster.Account{By: name, Kind: "failover", From: "n1", To: name, Steps: []cluster.Step{{At: time.Unix(1795000000, 0).UTC(), Text: "took the lead"}}}
}

func storedBy(t *testing.T, store dcs.Store) (names []string) {
	t.Helper()
	snapshot, err := store.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := cluster.ParseAccounts(snapshot.Values[dcs.KeyAccounts].Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		names = append(names, a.By)
	}
	return names
}

func TestAccountsOfTwoMembersBothStand(t *testing.T) {
	store := memory.New(time.Now)
	first, second := newChronicle(store.Node("n2"), slog.New(slog.DiscardHandler)), newChronicle(store.Node("n3"), slog.New(slog.DiscardHandler))
	for _, c := range []*chronicle{first, second} {
		if _, err := c.store.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	first.pending, second.pending = []cluster.Account{accountBy("n2")}, []cluster.Account{accountBy("n3")}
	if err := first.publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := second.publish(t.Context())
	if errors.Is(err, dcs.ErrConflict) { // its mirror may be behind; then it has been read
		err = second.publish(t.Context())
	}
	if got := storedBy(t, first.store); err != nil || len(got) != 2 || len(second.pending) != 0 {
		t.Errorf("the store has the accounts of %v, %v; %d are pending", got, err, len(second.pending))
	}
}

func TestGarbageInTheKeyDoesNotKeepAnAccountBack(t *testing.T) {
	c := newChronicle(memory.New(time.Now).Node("n2"), slog.New(slog.DiscardHandler))
	if _, err := c.store.Commit(t.Context(), dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyAccounts, Data: []byte("nonsense")}}}); err != nil {
		t.Fatal(err)
	}
	c.pending = []cluster.Account{accountBy("n2")}
	if got := c.accounts(); len(got) != 1 {
		t.Errorf("before it is published %d accounts are known", len(got))
	}
	if err := c.publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := storedBy(t, c.store); len(got) != 1 {
		t.Errorf("the store has the accounts of %v", got)
	}
}

// awayStore refuses writes until it is back.
type awayStore struct {
	dcs.Store
	tries chan struct{}
	back  chan struct{}
}

func (s awayStore) Commit(ctx context.Context, txn dcs.Txn) (int64, error) {
	select {
	case <-s.back:
		return s.Store.Commit(ctx, txn)
	default:
	}
	select {
	case s.tries <- struct{}{}:
	default:
	}
	return 0, errors.New("the store is away")
}

func TestAnAccountIsPublishedWhenTheStoreIsBack(t *testing.T) {
	store := awayStore{Store: memory.New(time.Now).Node("n2"), tries: make(chan struct{}, 1), back: make(chan struct{})}
	c := newChronicle(store, slog.New(slog.DiscardHandler))
	c.pause = time.Millisecond
	c.pending = []cluster.Account{accountBy("n2")}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.run(ctx)
	}()
	defer func() { cancel(); <-ended }()
	<-store.tries
	close(store.back)
	for len(storedBy(t, store)) == 0 {
		select {
		case <-ctx.Done():
			t.Fatal("it was never published")
		case <-store.Changed():
		}
	}
}
