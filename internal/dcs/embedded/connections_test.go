package embedded

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// idleOf is after how many seconds the kernel probes a connection.
func idleOf(t *testing.T, conn net.Conn) (idle int) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { idle, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return idle
}

// pair is a connection to a listener of this process, from both ends.
func pair(t *testing.T) (port int, dialled, accepted net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if dialled, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return l.Addr().(*net.TCPAddr).Port, dialled, accepted
}

// Connections of members are told from others, whoever made them.
func TestTheKernelProbesConnectionsBetweenMembers(t *testing.T) {
	ownPort, dialledByOther, accepted := pair(t)
	otherPort, dialled, acceptedByOther := pair(t)
	_, foreign, _ := pair(t)
	c := Config{Name: "a", Members: []Member{{Name: "a", Host: "127.0.0.1", PeerPort: ownPort}, {Name: "b", Host: "127.0.0.1", PeerPort: otherPort}}}
	if err := c.each(probe); err != nil {
		t.Fatal(err)
	}
	want := int(keepIdle / time.Second)
	for name, conn := range map[string]net.Conn{"to another's port": dialled, "from the own port": accepted} {
		if idle := idleOf(t, conn); idle != want {
			t.Errorf("%s: probed after %d s", name, idle)
		}
	}
	for name, conn := range map[string]net.Conn{"the other's end": dialledByOther, "another member's": acceptedByOther, "no member's": foreign} {
		if idle := idleOf(t, conn); idle == want {
			t.Errorf("%s: touched", name)
		}
	}
}

// The connections that etcd makes are found and looked after. All members are in this
// process, and two streams lead from each to each.
func TestTheConnectionsOfRunningMembersAreProbed(t *testing.T) {
	t.Parallel()
	g := running(t, 3)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for _, c := range g.configs {
		for deadline := deadline(t); ; {
			found, probed := 0, 0
			err := c.each(func(fd int) error {
				idle, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
				found++
				if idle == int(keepIdle/time.Second) {
					probed++
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if found >= 8 && probed == found {
				break
			}
			select {
			case <-look.C:
			case <-deadline.Done():
				t.Fatalf("%s: %d connections, %d probed", c.Name, found, probed)
			}
		}
	}
}
