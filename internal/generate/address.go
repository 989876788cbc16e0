package generate

import (
	"net"
	"os"
)

// name is the host's name.
func (m machine) name() string {
	if name := m.getenv("PATRONI_NAME"); name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil || name == "" {
		return unknown
	}
	return name
}

// address is one by which other machines reach this one: that of the host's name,
// else the first of a network interface.
func (m machine) address() string {
	var found []net.IP
	if name, err := os.Hostname(); err == nil {
		if ips, err := net.LookupIP(name); err == nil {
			found = append(found, ips...)
		}
	}
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				found = append(found, n.IP)
			}
		}
	}
	return choose(found)
}

// choose prefers version 4, and never takes what only this machine reaches.
func choose(ips []net.IP) string {
	var six string
	for _, ip := range ips {
		switch {
		case ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast():
		case ip.To4() != nil:
			return ip.String()
		case six == "":
			six = ip.String()
		}
	}
	if six != "" {
		return six
	}
	return unknown
}
