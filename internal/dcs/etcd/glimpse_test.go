package etcd

import (
	"testing"
	"time"

	"matriarch/internal/dcs"
)

// TestOneMemberTellsOfANewerLeaderKey: a node that was cut off reaches a member again
// while etcd has no leader. It hears who has led meanwhile, and the rest as it was then;
// that this is the newest it does not believe.
func TestOneMemberTellsOfANewerLeaderKey(t *testing.T) {
	t.Parallel()
	list := servers(t, 3)
	p := startProxy(t, list[0].client)
	s := open(t, []*server{{client: p.address}}, func(cfg *Config) { cfg.UseProxies = true })
	await(t, s, "currency", current)
	other := open(t, list[:1], func(cfg *Config) { cfg.UseProxies = true })
	mustCommit(t, other, put(dcs.KeyLeader, "n1"))
	await(t, s, "the first leader", func(m dcs.Snapshot, _ bool) bool { return string(m.Values[dcs.KeyLeader].Data) == "n1" })

	p.loseAnswers()
	await(t, s, "the loss", notCurrent)
	mustCommit(t, other, put("members/n2", "it is a primary"))
	newest := mustCommit(t, other, put(dcs.KeyLeader, "n2"))
	list[1].kill()
	list[2].kill()
	if m, _ := s.Mirror(); string(m.Values[dcs.KeyLeader].Data) != "n1" {
		t.Fatal("the proxy let an answer through")
	}

	p.recover()
	await(t, s, "the second leader", func(m dcs.Snapshot, current bool) bool {
		return !current && m.Revision == newest && string(m.Values[dcs.KeyLeader].Data) == "n2" && m.Values["members/n2"].Data != nil
	})

	list[1].start(t)
	await(t, s, "currency again", current)
	mustCommit(t, other, put("news", "1"))
	await(t, s, "news", func(m dcs.Snapshot, current bool) bool { return current && m.Values["news"].Data != nil })
}

// TestAnotherStoresWordDoesNotCount: not that of another cluster of etcd's, nor that of
// one whose members were restored, and which begins with a low term.
func TestAnotherStoresWordDoesNotCount(t *testing.T) {
	g := &guard{now: time.Now}
	if _, ok := g.sameStore(header(1, 5)); ok {
		t.Error("believed before anything was read")
	}
	g.acceptRead(header(1, 5))
	for _, c := range []struct {
		cluster, term uint64
		want          bool
	}{{1, 5, true}, {1, 9, true}, {1, 4, false}, {2, 9, false}} {
		if _, ok := g.sameStore(header(c.cluster, c.term)); ok != c.want {
			t.Errorf("cluster %d, term %d: %v", c.cluster, c.term, ok)
		}
	}
	if _, ok := g.accept(header(1, 5)); !ok {
		t.Error("one member's term was taken for that of all")
	}
}
