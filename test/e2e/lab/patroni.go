package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// patroniVariable names Patroni's program, or a directory with its source tree. If it
// is not set, the program of Debian's package is taken.
const patroniVariable = "E2E_PATRONI"

const (
	debiansPatroni = "/usr/bin/patroni"
	debiansPython  = "/usr/bin/python3" // has the modules that Patroni needs
)

// Patroni is the agent that ours lives beside.
type Patroni struct {
	Version string
	command []string // without the configuration
}

// FindPatroni skips the test where there is none.
func FindPatroni(t testing.TB) *Patroni {
	t.Helper()
	where := fallback(os.Getenv(patroniVariable), debiansPatroni)
	p := &Patroni{command: []string{where}}
	if info, err := os.Stat(where); err == nil && info.IsDir() {
		p.command = []string{"/usr/bin/env", "PYTHONPATH=" + where, "PYTHONDONTWRITEBYTECODE=1", debiansPython, "-m", "patroni"}
	}
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, p.command[0], append(p.command[1:], "--version")...).CombinedOutput()
	if err != nil {
		t.Skipf("no Patroni at %s (Debian's package patroni, or %s): %v %s", where, patroniVariable, err, tail(string(out), 1))
	}
	p.Version = strings.TrimSpace(string(out))
	return p
}

// EndMember ends the lease of a member's key at once, as if ttl had passed since its
// agent went away.
func (c *Cluster) EndMember(name string) {
	c.t.Helper()
	key := c.Prefix() + "members/" + name
	Eventually(c.t, Patience, "the key of member "+name+" is gone", func(ctx context.Context) (bool, string) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		got, err := c.store.Get(ctx, key)
		switch {
		case err != nil:
			return false, err.Error()
		case len(got.Kvs) == 0:
			return true, ""
		}
		_, err = c.store.Revoke(ctx, clientv3.LeaseID(got.Kvs[0].Lease))
		return false, fmt.Sprintf("lease %x revoked: %v", got.Kvs[0].Lease, err)
	})
}
