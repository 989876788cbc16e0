package demo

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
)

// host is the one address everywhere: only the ports tell the nodes apart.
const host = "127.0.0.1"

// ports of the demonstration: node i has the i-th after each start. The first port
// of the block is held open as long as the demonstration lasts, so that two of them
// never share a block.
type ports struct {
	base int
	held net.Listener
}

// The block: one port that is held, then nodeCount of each kind. Each kind starts
// at a round number, for people.
const (
	offsetPostgres = 1
	offsetAPI      = 11
	offsetClient   = 21 // of the embedded etcd
	offsetPeer     = 31
	blockPorts     = 40
)

func (p *ports) postgres(i int) int { return p.base + offsetPostgres + i }
func (p *ports) api(i int) int      { return p.base + offsetAPI + i }
func (p *ports) client(i int) int   { return p.base + offsetClient + i }
func (p *ports) peer(i int) int     { return p.base + offsetPeer + i }

// takePorts finds a free block outside of the ports that the kernel hands out by
// itself. A node that is down leaves its ports free: a connection attempt to one of
// them could be given that very port as its own and connect to itself, and then
// the node could not come back.
func takePorts() (*ports, error) {
	low, high := ephemeralRange()
	for base := 15430; base+blockPorts < 65536; base += 100 {
		if base <= high && base+blockPorts >= low {
			continue
		}
		if p, err := takeBlock(base); err == nil {
			return p, nil
		}
	}
	return nil, errors.New("find free ports: no block is free on " + host)
}

func takeBlock(base int) (*ports, error) {
	held, err := listen(base)
	if err != nil {
		return nil, err
	}
	p := &ports{base: base, held: held}
	for i := range nodeCount {
		for _, port := range []int{p.postgres(i), p.api(i), p.client(i), p.peer(i)} {
			probe, err := listen(port)
			if err != nil {
				p.release()
				return nil, err
			}
			probe.Close()
		}
	}
	return p, nil
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp4", net.JoinHostPort(host, strconv.Itoa(port)))
}

func (p *ports) release() { p.held.Close() }

// ephemeralRange is ip_local_port_range (ip(7)), or Linux's default.
func ephemeralRange() (low, high int) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		if n, _ := fmt.Sscan(string(text), &low, &high); n == 2 {
			return low, high
		}
	}
	return 32768, 60999
}
