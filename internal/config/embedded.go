package config

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// The ports of an etcd server, by its own defaults.
const (
	defaultClientPort = 2379
	defaultPeerPort   = 2380
)

// EmbeddedConfig describes the store that the members run themselves. It is the
// same on every node, but for the directory.
type EmbeddedConfig struct {
	DataDir string
	Members []EmbeddedMember
}

// EmbeddedMember is one server of the embedded store.
type EmbeddedMember struct {
	Name       string
	Host       string
	ClientPort int
	PeerPort   int
}

// Client is where clients reach the member.
func (m EmbeddedMember) Client() HostPort { return HostPort{m.Host, m.ClientPort} }

// Peer is where the other members reach it.
func (m EmbeddedMember) Peer() HostPort { return HostPort{m.Host, m.PeerPort} }

// Member finds a member by its name.
func (e *EmbeddedConfig) Member(name string) (EmbeddedMember, bool) {
	for _, m := range e.Members {
		if m.Name == name {
			return m, true
		}
	}
	return EmbeddedMember{}, false
}

func (r reader) readEmbedded(c *Config) *EmbeddedConfig {
	e := &EmbeddedConfig{DataDir: r.text("embedded.data_dir")}
	if data := c.Postgresql.DataDir; data != "" {
		if e.DataDir == "" {
			e.DataDir = filepath.Clean(data) + "-etcd"
		}
		inside, err := filepath.Rel(data, e.DataDir)
		if err == nil && inside != ".." && !strings.HasPrefix(inside, "../") {
			r.fault("embedded.data_dir", "must not be inside postgresql.data_dir, which is removed when the server is copied anew")
		}
	}
	list := r.get("embedded.members")
	if len(list.Items()) == 0 {
		r.fault("embedded.members", "is needed with dcs: embedded: a list of {name: …, host: …}")
		return e
	}
	for i, item := range list.Items() {
		if m, ok := r.embeddedMember(item, join("embedded.members", strconv.Itoa(i))); ok {
			e.Members = append(e.Members, m)
		}
	}
	if _, ok := e.Member(c.Name); !ok && c.Name != "" {
		r.fault("embedded.members", fmt.Sprintf("has no member of this node's name %q", c.Name))
	}
	r.distinctMembers(e)
	if n := len(e.Members); n%2 == 0 && n > 0 {
		r.warn("embedded.members", fmt.Sprintf("are %d: an odd number survives the loss of as many", n))
	}
	return e
}

var memberKeys = []string{"name", "host", "client_port", "peer_port"}

func (r reader) embeddedMember(item *Value, path string) (EmbeddedMember, bool) {
	if !item.Is(KindMap) {
		r.report.error(item.Position(), path, "must be a map: {name: …, host: …}")
		return EmbeddedMember{}, false
	}
	m := EmbeddedMember{Name: item.Get("name").Text(), Host: item.Get("host").Text(),
		ClientPort: defaultClientPort, PeerPort: defaultPeerPort}
	ok := true
	fault := func(name, message string) {
		r.report.error(item.At, join(path, name), message)
		ok = false
	}
	for _, f := range item.fields {
		switch f.Name {
		case "name", "host":
			if !f.Value.Is(KindString) {
				fault(f.Name, "must be text")
			}
		case "client_port", "peer_port":
			port, isInt := f.Value.IntIn("")
			if !isInt || port < 1 || port > 65535 {
				fault(f.Name, "must be a port from 1 to 65535")
			} else if f.Name == "client_port" {
				m.ClientPort = int(port)
			} else {
				m.PeerPort = int(port)
			}
		default:
			message := "is not a known key and is ignored"
			if near := nearest(f.Name, memberKeys); near != "" {
				message += "; did you mean " + near + "?"
			}
			r.report.warn(f.At, join(path, f.Name), message)
		}
	}
	if m.Name == "" {
		fault("name", "is required and not given")
	}
	if m.Host == "" {
		fault("host", "is required and not given")
	}
	return m, ok
}

// distinctMembers refuses one name or one address for two members.
func (r reader) distinctMembers(e *EmbeddedConfig) {
	seen := map[string]string{}
	for _, m := range e.Members {
		for _, what := range []string{"name " + m.Name, "address " + m.Client().String(), "address " + m.Peer().String()} {
			if other, twice := seen[what]; twice {
				r.fault("embedded.members", fmt.Sprintf("have %s twice, for %s and %s", what, other, m.Name))
			}
			seen[what] = m.Name
		}
	}
}
