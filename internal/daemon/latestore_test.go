package daemon

import (
	"errors"
	"testing"
	"time"

	"matriarch/internal/config"
	"matriarch/internal/dcs"
	"matriarch/internal/dcs/memory"
	"matriarch/internal/permit"
)

func TestTheLateStoreSaysNoUntilItIsOpen(t *testing.T) {
	l := newLateStore()
	put := dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyStatus, Data: []byte("{}")}}}
	if s, current := l.Mirror(); current || s.Revision != 0 || len(s.Values) != 0 {
		t.Errorf("mirror: %+v, %t", s, current)
	}
	if _, err := l.Commit(t.Context(), put); permit.AnswerOf(err) != permit.No {
		t.Errorf("a write that was not sent is said to be in doubt: %v", err)
	}
	if _, err := l.Read(t.Context()); !errors.Is(err, errNotOpen) {
		t.Errorf("read: %v", err)
	}
	if _, _, err := l.Renew(t.Context(), time.Minute); !errors.Is(err, errNotOpen) || l.Lease().ID != 0 {
		t.Errorf("renew: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("close: %v", err)
	}

	changed := l.Changed()
	l.open(memory.New(time.Now).Node("n1"))
	select {
	case <-changed:
	default:
		t.Error("nobody is woken when the store is open")
	}
	if _, err := l.Commit(t.Context(), put); err != nil {
		t.Errorf("commit: %v", err)
	}
	if s, _ := l.Mirror(); string(s.Values[dcs.KeyStatus].Data) != "{}" {
		t.Errorf("mirror: %+v", s)
	}
	select {
	case <-l.Changed():
	case <-time.After(10 * time.Second):
		t.Error("the open store's changes are not told")
	}
}

// keyed is a store that somebody has to show who he is.
type keyed struct{ user, password string }

func (k *keyed) SetCredentials(user, password string) { k.user, k.password = user, password }

func TestAReloadRenewsTheStoresCredentials(t *testing.T) {
	d := &Daemon{local: &config.Config{Etcd: &config.EtcdConfig{Username: "patroni", Password: "old"}}}
	d.renewCredentials() // the store is not open yet: nothing to do
	k := &keyed{}
	d.credentials = k
	d.local = &config.Config{Etcd: &config.EtcdConfig{Username: "other", Password: "new"}}
	d.renewCredentials()
	if *k != (keyed{"other", "new"}) {
		t.Errorf("the store uses %+v", *k)
	}
	d.local = &config.Config{} // of an embedded one
	d.renewCredentials()
	if *k != (keyed{"other", "new"}) {
		t.Errorf("the store uses %+v", *k)
	}
}
