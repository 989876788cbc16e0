package chaos

import (
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"matriarch/test/e2e/lab"
)

// Ports by what is cut: etcd's for clients and peers; PostgreSQL and REST.
var (
	etcdPorts = []int{2379, 2380}
	peerPorts = []int{5432, 8008}
)

// cutter drops packets between nodes by rules of the receiver's routing, which
// needs neither a filter in the kernel nor a program that is not there anyway. To
// the sender it looks like a network that swallows packets: no error, no reset.
type cutter struct {
	t     testing.TB
	rules []rule        // in force
	made  *atomic.Int64 // rules so far: equal ones are told apart by their place
}

// rule says that a host does not hear another.
type rule struct {
	at   lab.Network
	what []string
}

const (
	localPref = 30000 // of the rule that delivers to the host itself, moved behind ours
	cutPref   = 100   // of the first of ours
)

func (f *field) cutter() *cutter { return &cutter{t: f.t, made: &f.rules} }

// prepare makes room in a network for rules that come before local delivery.
func (c *cutter) prepare(n lab.Network) {
	c.ip(n, "add", "pref", strconv.Itoa(localPref), "lookup", "local")
	c.ip(n, "del", "pref", "0")
}

// deafen makes a node drop what comes from another; with ports, only what belongs
// to connections to these, whoever of the two opened them.
func (c *cutter) deafen(hearer, speaker *lab.Node, ports []int) {
	all := []string{"iif", "eth0", "from", speaker.Host}
	if ports == nil {
		c.add(rule{hearer.Net, append(all, "blackhole")})
		return
	}
	for _, p := range ports {
		for _, side := range []string{"dport", "sport"} {
			c.add(rule{hearer.Net, append(all[:len(all):len(all)], "ipproto", "tcp", side, strconv.Itoa(p), "blackhole")})
		}
	}
}

func (c *cutter) add(r rule) {
	r.what = append([]string{"pref", strconv.Itoa(cutPref + int(c.made.Add(1))%(localPref-cutPref))}, r.what...)
	c.ip(r.at, "add", r.what...)
	c.rules = append(c.rules, r)
}

// heal lets everything through again.
func (c *cutter) heal() {
	for _, r := range c.rules {
		c.ip(r.at, "del", r.what...)
	}
	c.rules = nil
}

func (c *cutter) ip(in lab.Network, verb string, args ...string) {
	c.t.Helper()
	args = append([]string{"-n", string(in), "rule", verb}, args...)
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		c.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}
