package etcd

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// network is what a dialing meets: hosts that answer, hosts that refuse, and the rest is
// silent.
type network struct {
	names   map[string][]string
	answers string // addresses
	refuses string

	mu     sync.Mutex
	dialed []string
}

func (n *network) dialing() dialing {
	return dialing{
		timeout: time.Second,
		lookup: func(_ context.Context, host string) ([]string, error) {
			if hosts, known := n.names[host]; known {
				return slices.Clone(hosts), nil
			}
			return nil, errors.New("no such host")
		},
		dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			n.mu.Lock()
			n.dialed = append(n.dialed, address)
			n.mu.Unlock()
			switch {
			case slices.Contains(strings.Fields(n.answers), address):
				conn, _ := net.Pipe()
				return conn, nil
			case slices.Contains(strings.Fields(n.refuses), address):
				return nil, errors.New("connection refused")
			}
			<-ctx.Done()
			return nil, ctx.Err()
		},
	}
}

func TestANameWithSeveralAddresses(t *testing.T) {
	three := map[string][]string{"etcd": {"10.0.0.1", "10.0.0.2", "10.0.0.3"}}
	for name, c := range map[string]struct {
		network *network
		address string
		within  time.Duration // negative: it fails
	}{
		"the first answers":                {&network{names: three, answers: "10.0.0.1:2379"}, "etcd:2379", 0},
		"one that refuses costs nothing":   {&network{names: three, refuses: "10.0.0.1:2379", answers: "10.0.0.2:2379"}, "etcd:2379", 0},
		"one that is silent costs one try": {&network{names: three, answers: "10.0.0.2:2379"}, "etcd:2379", dialEvery},
		"two that are silent cost two":     {&network{names: three, answers: "10.0.0.3:2379"}, "etcd:2379", 2 * dialEvery},
		"one silent, one refuses":          {&network{names: three, refuses: "10.0.0.2:2379", answers: "10.0.0.3:2379"}, "etcd:2379", dialEvery},
		"all refuse":                       {&network{names: three, refuses: "10.0.0.1:2379 10.0.0.2:2379 10.0.0.3:2379"}, "etcd:2379", -1},
		"all are silent":                   {&network{names: three}, "etcd:2379", -time.Second},
		"an address is not looked up":      {&network{answers: "[fe80::1]:2379"}, "[fe80::1]:2379", 0},
		"a name that nobody knows":         {&network{}, "etcd:2379", -1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				conn, err := c.network.dialing().connect(t.Context(), c.address)
				took := time.Since(began)
				if (err == nil) != (c.within >= 0) || (conn != nil) != (err == nil) {
					t.Fatalf("%v, %v, dialed %v", conn, err, c.network.dialed)
				}
				if want := max(c.within, -c.within); want > 1 && took != want || want <= 1 && took != 0 {
					t.Errorf("it took %v, want %v; dialed %v", took, want, c.network.dialed)
				}
			})
		})
	}
}

func TestEachAddressIsAnEndpoint(t *testing.T) {
	n := network{names: map[string][]string{"etcd": {"10.0.0.2", "10.0.0.1", "10.0.0.2", "fd00::1"}, "one": {"10.0.0.9"}, "localhost": {"127.0.0.1", "::1"}}}
	for in, want := range map[string]string{
		"http://etcd:2379":                         "http://10.0.0.1:2379 http://10.0.0.2:2379 http://[fd00::1]:2379 http://etcd:2379",
		"https://etcd:2379":                        "https://etcd:2379",
		"http://one:2379 http://10.0.0.7:2379":     "http://one:2379 http://10.0.0.7:2379",
		"http://localhost:2379 http://nobody:2379": "http://localhost:2379 http://nobody:2379",
	} {
		if got := strings.Join(eachAddress(t.Context(), strings.Fields(in), n.dialing().lookup), " "); got != want {
			t.Errorf("%s: %s\nwant %s", in, got, want)
		}
	}
}
