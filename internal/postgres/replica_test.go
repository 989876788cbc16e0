package postgres

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAReplicaIsMadeByTheFirstMethodThatSucceeds(t *testing.T) {
	source := madeNode(t)
	n := newNode(t, "n2", func(c *Config) {
		c.ReplicaMethods = []ReplicaMethod{
			{Name: "broken", Command: shell(c, "broken", "mkdir -p $data; touch $data/rest; exit 1")},
			{Name: "own", Command: shell(c, "own", `test ! -e $data; for a; do case $a in --connstring=*) c=${a#*=};; esac; done; `+
				`pg_basebackup -D $data -c fast -X stream -d "$c"; touch $data/promote; rm $data/pg_ident.conf`),
				Params: []Param{{"threads", "4"}, {"role", "primary"}, {"no_leader", "1"}}},
			{Name: "never", Command: shell(c, "never", "exit 1")},
		}
	})
	n.must(n.CreateReplica(within(t), source.self, false, nil))
	n.must(n.StartStandby(within(t), source.self))
	n.must(n.WaitReady(within(t)))
	n.wantSQL("select it from public.kept", "7")
	if st := n.Status(within(t)); !st.InRecovery {
		t.Error("it is a primary")
	}
	want := []string{"--threads=4", "--role=replica", "--no_leader=1", "--scope=mycluster", "--datadir=" + n.cfg().DataDir}
	got := n.noted("own")
	if len(got) != 6 || !slices.Equal(got[:5], want) || !strings.HasPrefix(got[5], "--connstring=dbname=postgres user=replicator host=127.0.115.1 port=") {
		t.Errorf("arguments %q", got)
	}
	if _, err := os.Stat(filepath.Join(n.dir, "never")); err == nil {
		t.Error("a method was tried after one had succeeded")
	}
	n.noPasswords()
}

func TestMethodsAndTheDataThatIsThere(t *testing.T) {
	file := func(n *node) string { return n.cfg().data("precious") }
	n := newNode(t, "n1", func(c *Config) {
		c.ReplicaMethods = []ReplicaMethod{
			{Name: "keeps", KeepData: true, Params: []Param{{"keep_data", "True"}}, Command: shell(c, "keeps", "ls $data; exit 1")},
			{Name: "again", KeepData: true, NoParams: true, Params: []Param{{"keep_data", "1"}, {"no_params", "1"}, {"speed", "high"}},
				Command: shell(c, "again", "test -e $data/precious; exit 1")},
			{Name: "alone", NoLeader: true, Command: shell(c, "alone", `test ! -e $data; mkdir -p $data/global; touch $data/global/pg_control`)},
		}
	})
	n.must(os.MkdirAll(n.cfg().DataDir, 0o700))
	n.must(os.WriteFile(file(n), nil, 0o600))
	n.must(n.CreateReplica(within(t), Upstream{Name: "far", Host: "127.0.115.1", Port: 1}, false, nil))
	if got := n.noted("keeps"); len(got) != 5 || got[0] != "--keep_data=True" {
		t.Errorf("arguments %q", got)
	}
	if got := n.noted("again"); !slices.Equal(got, []string{"--speed=high"}) {
		t.Errorf("arguments with no_params %q", got)
	}
	if d := n.Directory(); d != HasControl {
		t.Errorf("directory: %s", d)
	}
}

func TestWithoutASourceOnlyWhatNeedsNoneIsTried(t *testing.T) {
	n := newNode(t, "n1", func(c *Config) {
		c.ReplicaMethods = []ReplicaMethod{{Name: "basebackup"}, {Name: "own", Command: shell(c, "own", "exit 1")}}
	})
	if err := n.CreateReplica(within(t), Nobody, false, nil); !errors.Is(err, ErrNoMethod) {
		t.Errorf("error %v", err)
	}
	n.config.ReplicaMethods[1].NoLeader = true
	if err := n.CreateReplica(within(t), Nobody, false, nil); err == nil || !strings.Contains(err.Error(), "create a replica by own") {
		t.Errorf("error %v", err)
	}
	if got := n.noted("own"); !slices.Contains(got, "--connstring=") {
		t.Errorf("arguments %q", got)
	}
	if n.Directory() != Missing || n.Unfinished() != nil {
		t.Errorf("directory %s, marker %+v", n.Directory(), n.Unfinished())
	}
}
