package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Network is where a process lives: the machine's own network (empty), or a
// network namespace by its name.
type Network string

// Do calls f on a thread that is in the network: sockets made and processes
// started by f belong there.
func (n Network) Do(f func() error) (err error) {
	if n == "" {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		return fmt.Errorf("enter network %s: %w", n, err)
	}
	defer home.Close()
	there, err := os.Open("/run/netns/" + string(n))
	if err != nil {
		return fmt.Errorf("enter network %s: %w", n, err)
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network %s: %w", n, err)
	}
	defer func() {
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
			panic(fmt.Sprintf("this thread cannot leave the network %s: %v", n, back))
		}
	}()
	return f()
}

// Dial connects to a numeric address from within the network.
func (n Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := n.Do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Switch is a network of its own, to which hosts are plugged by cables that can
// be cut. It needs root.
type Switch struct {
	t    testing.TB
	name string
	Net  Network // of the switch itself: who is here reaches every host that is plugged in
}

// NewSwitch makes the switch; address is its own, such as 192.168.110.1/24.
func NewSwitch(t testing.TB, address string) *Switch {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	require(t, "ip")
	name := fmt.Sprintf("m%dsw", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Skipf("no network namespaces on this machine: %v: %s", err, out)
	}
	s := &Switch{t: t, name: name, Net: Network(name)}
	s.dropAtEnd(name)
	s.ip("-n", name, "link", "set", "lo", "up")
	s.ip("-n", name, "link", "add", "sw", "type", "bridge")
	s.ip("-n", name, "addr", "add", address, "dev", "sw")
	s.ip("-n", name, "link", "set", "sw", "up")
	return s
}

// Plug adds a host with an address such as 192.168.110.31/24.
func (s *Switch) Plug(host, address string) Network {
	s.t.Helper()
	ns := s.name + host
	s.ip("netns", "add", ns)
	s.dropAtEnd(ns)
	s.ip("-n", s.name, "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", ns)
	s.ip("-n", s.name, "link", "set", host, "master", "sw", "up")
	s.ip("-n", ns, "addr", "add", address, "dev", "eth0")
	s.ip("-n", ns, "link", "set", "lo", "up")
	s.ip("-n", ns, "link", "set", "eth0", "up")
	return Network(ns)
}

// Cut takes a host's cable out; Heal puts it in again.
func (s *Switch) Cut(host string) { s.t.Helper(); s.ip("-n", s.name, "link", "set", host, "down") }

// Heal puts a cable in again.
func (s *Switch) Heal(host string) { s.t.Helper(); s.ip("-n", s.name, "link", "set", host, "up") }

func (s *Switch) ip(args ...string) {
	s.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		s.t.Fatal(fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out))
	}
}

func (s *Switch) dropAtEnd(ns string) {
	s.t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", ns).CombinedOutput(); err != nil {
			s.t.Error(errors.Join(err, fmt.Errorf("remove network %s: %s", ns, out)))
		}
	})
}
