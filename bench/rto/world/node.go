package world

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Node is a machine of the world. It is off until Boot.
type Node struct {
	Name string
	Host string // its address
	Dir  string // its disk: it outlives the loss of the node

	world *World
	port  string // of the switch
	up    *running
}

// running is what a node has while it is on.
type running struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	net *os.File      // its network namespace
	end chan struct{} // closed when the first process is gone

	mu     sync.Mutex
	next   int
	ready  chan struct{}
	wait   map[int]chan string      // for answers
	ending map[string]chan struct{} // for the ends of services
}

// NewNode makes a node with an address of the Subnet. The directory is below the
// world's and belongs to the servers' user.
func (w *World) NewNode(name, host, dir string, uid, gid int) (*Node, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return nil, err
	}
	return &Node{Name: name, Host: host, Dir: dir, world: w, port: "v" + name}, nil
}

// Boot turns the node on: its processes, its network, its cable.
func (n *Node) Boot(ctx context.Context, uid, gid int) error {
	if n.up != nil {
		return fmt.Errorf("boot %s: it is on", n.Name)
	}
	options := nodeOptions{UID: uid, GID: gid, Shares: os.Getenv(sharesVariable)}
	if n.world.Group != "" {
		group, err := os.MkdirTemp(n.world.Group, n.Name+"-") // anew: what the last boot left in its own is not ours
		if err != nil {
			return fmt.Errorf("boot %s: make its cgroup: %w", n.Name, err)
		}
		options.Group = group
	}
	up, err := launch(options, filepath.Join(n.Dir, "first.log"))
	if err != nil {
		return fmt.Errorf("boot %s: %w", n.Name, err)
	}
	n.up = up
	select {
	case <-up.ready:
	case <-up.end:
		n.up = nil
		return fmt.Errorf("boot %s: its first process has ended, see %s/first.log", n.Name, n.Dir)
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := n.plug(ctx); err != nil {
		return fmt.Errorf("boot %s: %w", n.Name, err)
	}
	return nil
}

func launch(options nodeOptions, log string) (*running, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return nil, err
	}
	said, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer said.Close()
	cmd := exec.Command("/proc/self/exe", string(text))
	cmd.Env = append(os.Environ(), roleVariable+"="+roleNode)
	cmd.Stderr = said
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWNS, Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	up := &running{cmd: cmd, in: in, end: make(chan struct{}), ready: make(chan struct{}), wait: map[int]chan string{}, ending: map[string]chan struct{}{}}
	up.net, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid))
	go up.listen(out)
	return up, err
}

// listen hears the first process out, and then waits for its end.
func (r *running) listen(out io.Reader) {
	defer close(r.end)
	in := json.NewDecoder(out)
	for first := true; ; first = false {
		var said reply
		if err := in.Decode(&said); err != nil {
			break
		}
		r.mu.Lock()
		switch {
		case first:
			close(r.ready)
		case said.Ended != "":
			if c := r.ending[said.Ended]; c != nil {
				close(c)
				delete(r.ending, said.Ended)
			}
		default:
			r.wait[said.ID] <- said.Error
			delete(r.wait, said.ID)
		}
		r.mu.Unlock()
	}
	_ = r.cmd.Wait() // it was killed, and its code says no more than that
	r.net.Close()
}

// plug gives the node a cable to the switch. Its hardware address stays the same
// over every boot, so that nobody has to find out anew where it is.
func (n *Node) plug(ctx context.Context) error {
	_, last, _ := strings.Cut(n.Host, "192.168.110.")
	number, err := strconv.Atoi(last)
	if err != nil {
		return fmt.Errorf("address %s is not in %s", n.Host, Subnet)
	}
	_ = ip(ctx, "link", "del", n.port) // of the last boot, if the kernel has not removed it yet
	for _, args := range [][]string{
		{"link", "add", n.port, "type", "veth", "peer", "name", "eth0", "address", fmt.Sprintf("02:00:c0:a8:6e:%02x", number),
			"netns", strconv.Itoa(n.up.cmd.Process.Pid)},
		{"link", "set", n.port, "master", "sw", "up"},
	} {
		if err := ip(ctx, args...); err != nil {
			return err
		}
	}
	err = n.within(func() error {
		return errors.Join(ip(ctx, "link", "set", "lo", "up"), ip(ctx, "addr", "add", n.Host+"/24", "dev", "eth0"), ip(ctx, "link", "set", "eth0", "up"))
	})
	if err != nil {
		return err
	}
	return n.carries(ctx)
}

// carries waits until the cable carries packets: the kernel notices a link that
// came up in its own time, up to a second later (net/core/link_watch.c).
func (n *Node) carries(ctx context.Context) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		port, err := net.InterfaceByName(n.port)
		if err != nil {
			return err
		}
		if port.Flags&net.FlagRunning != 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the cable of %s carries nothing: %w", n.Name, ctx.Err())
		}
	}
}

// Cut takes the cable out. The processes live on.
func (n *Node) Cut(ctx context.Context) error { return ip(ctx, "link", "set", n.port, "down") }

// Heal puts it in again, and waits until it carries packets.
func (n *Node) Heal(ctx context.Context) error {
	if err := ip(ctx, "link", "set", n.port, "up"); err != nil {
		return err
	}
	return n.carries(ctx)
}

// Kill takes the cable out and ends every process of the node at once, as the loss
// of its power does, and waits until they are gone.
func (n *Node) Kill(ctx context.Context) error {
	if err := n.Cut(ctx); err != nil { // first: a process that dies closes its connections, a host that dies does not
		return err
	}
	return n.Off(ctx)
}

// Off ends every process of the node and waits until they are gone. It is no error
// if it is off.
func (n *Node) Off(ctx context.Context) error {
	if n.up == nil {
		return nil
	}
	if err := n.up.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", n.Name, err)
	}
	select {
	case <-n.up.end:
		n.up = nil
		return nil
	case <-ctx.Done():
		return fmt.Errorf("kill %s: it does not end: %w", n.Name, ctx.Err())
	}
}

// Start starts a service.
func (n *Node) Start(ctx context.Context, s Service) error {
	return n.ask(ctx, request{Op: opStart, Service: s})
}

// Signal sends a signal to a service's process.
func (n *Node) Signal(ctx context.Context, service string, s syscall.Signal) error {
	return n.ask(ctx, request{Op: opSignal, Service: Service{Name: service}, Signal: s})
}

// SignalPostmaster sends a signal to the postmaster of a data directory.
func (n *Node) SignalPostmaster(ctx context.Context, data string, s syscall.Signal) error {
	return n.ask(ctx, request{Op: opPostmaster, Path: data, Signal: s})
}

// End sends a signal to a service's process and waits until that has ended.
func (n *Node) End(ctx context.Context, service string, s syscall.Signal) error {
	n.up.mu.Lock()
	ended := n.up.ending[service]
	if ended == nil {
		ended = make(chan struct{})
		n.up.ending[service] = ended
	}
	n.up.mu.Unlock()
	if err := n.Signal(ctx, service, s); err != nil {
		return err
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s of %s does not end: %w", service, n.Name, ctx.Err())
	}
}

func (n *Node) ask(ctx context.Context, r request) error {
	up := n.up
	if up == nil {
		return fmt.Errorf("%s %s: it is off", r.Op, n.Name)
	}
	answer := make(chan string, 1)
	up.mu.Lock()
	up.next++
	r.ID = up.next
	up.wait[r.ID] = answer
	err := json.NewEncoder(up.in).Encode(r)
	up.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.Op, n.Name, err)
	}
	select {
	case text := <-answer:
		if text != "" {
			return fmt.Errorf("%s %s at %s: %s", r.Op, r.Service.Name, n.Name, text)
		}
		return nil
	case <-up.end:
		return fmt.Errorf("%s %s: its first process has ended", r.Op, n.Name)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Dial connects to a numeric address from within the node's network.
func (n *Node) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := n.within(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// within calls f on a thread that is in the node's network: sockets made and
// processes started by f belong there.
func (n *Node) within(f func() error) error {
	up := n.up
	if up == nil {
		return fmt.Errorf("enter the network of %s: it is off", n.Name)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		return fmt.Errorf("enter the network of %s: %w", n.Name, err)
	}
	defer home.Close()
	if err := unix.Setns(int(up.net.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network of %s: %w", n.Name, err)
	}
	defer func() {
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
			panic(fmt.Sprintf("this thread cannot leave the network of %s: %v", n.Name, back))
		}
	}()
	return f()
}
