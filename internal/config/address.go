package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// HostPort is one address. The host of an IPv6 address has no brackets.
type HostPort struct {
	Host string
	Port int
}

// String joins host and port, with brackets where they are needed.
func (a HostPort) String() string {
	if a == (HostPort{}) {
		return ""
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
}

// Listen is what a server listens on. An empty host or * is every address.
type Listen struct {
	Hosts []string
	Port  int
}

// LocalHost is how the node reaches its own server over TCP.
func (l Listen) LocalHost() string {
	for _, host := range l.Hosts {
		switch host {
		case "*", "", "localhost", "0.0.0.0", "127.0.0.1":
			return "localhost"
		}
	}
	if len(l.Hosts) == 0 {
		return "localhost"
	}
	return l.Hosts[0]
}

// Addresses are host and port for each host.
func (l Listen) Addresses() []HostPort {
	var out []HostPort
	for _, host := range l.Hosts {
		out = append(out, HostPort{host, l.Port})
	}
	return out
}

// parseHostPort reads host:port, or host alone where there is a default port.
func parseHostPort(text string, defaultPort int) (HostPort, error) {
	l, err := parseListen(text, defaultPort)
	if err != nil {
		return HostPort{}, err
	}
	if len(l.Hosts) != 1 {
		return HostPort{}, fmt.Errorf("must be one host, not several")
	}
	return HostPort{l.Hosts[0], l.Port}, nil
}

// parseListen reads host[,host…][:port]. Without a default port there must be one.
func parseListen(text string, defaultPort int) (Listen, error) {
	text = strings.TrimSpace(text)
	hosts, port := text, defaultPort
	colon := strings.LastIndexByte(text, ':')
	bracket := strings.LastIndexByte(text, ']')
	if colon > bracket {
		n, err := strconv.Atoi(text[colon+1:])
		if err != nil || n < 1 || n > 65535 {
			return Listen{}, fmt.Errorf("must end in a port from 1 to 65535")
		}
		hosts, port = text[:colon], n
	}
	if port == 0 {
		return Listen{}, fmt.Errorf("must be host:port, the port is missing")
	}
	var out []string
	for host := range strings.SplitSeq(hosts, ",") {
		host = strings.TrimSpace(host)
		inner, bracketed := strings.CutPrefix(host, "[")
		if bracketed {
			host = strings.TrimSuffix(inner, "]")
		} else if strings.Contains(host, ":") {
			return Listen{}, fmt.Errorf("needs brackets round an IPv6 address: [::1]:%d", port)
		}
		if strings.ContainsAny(host, "[]/ \t") {
			return Listen{}, fmt.Errorf("must be host:port, without scheme or path")
		}
		out = append(out, host)
	}
	return Listen{Hosts: out, Port: port}, nil
}

// hostPort reads an address of the configuration; the zero value if it is not given
// or is faulty, which is reported.
func (r reader) hostPort(path string, defaultPort int) HostPort {
	text := r.text(path)
	if text == "" {
		return HostPort{}
	}
	a, err := parseHostPort(text, defaultPort)
	if err != nil {
		r.fault(path, err.Error())
	}
	return a
}
