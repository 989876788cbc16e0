package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// storeOrder is Patroni's: of several sections the first is used.
var storeOrder = []string{"consul", "etcd", "etcd3", "exhibitor", "kubernetes", "raft", "zookeeper"}

var unsupportedStores = []string{"consul", "exhibitor", "kubernetes", "raft", "zookeeper"}

const supportedStores = "supported are etcd3, etcd, and dcs: embedded"

// EtcdConfig says how etcd is reached, by its v3 protocol.
type EtcdConfig struct {
	Hosts             []string // host:port, always with a port
	Protocol          string   // http or https
	URL               string   // without user and password
	Proxy             string   // without user and password
	UseProxies        bool     // the hosts given are all there are
	SRV, SRVSuffix    string
	Username          string
	Password          Secret
	CACert, Cert, Key string
	FromOldSection    bool // the section was named etcd
}

// Endpoints are the URLs to begin with; none if only SRV records name the servers.
func (e EtcdConfig) Endpoints() []string {
	var out []string
	for _, host := range e.Hosts {
		out = append(out, e.Protocol+"://"+host)
	}
	return out
}

// String names the servers. It stands here since a structure that is printed through
// a pointer shows its fields without asking them.
func (e EtcdConfig) String() string {
	return fmt.Sprintf("etcd %s %s", strings.Join(e.Endpoints(), ","), e.SRV)
}

// GoString is String.
func (e EtcdConfig) GoString() string { return e.String() }

// readStore finds the one store that the node uses.
func (r reader) readStore(c *Config) {
	var given []string
	for _, name := range storeOrder {
		if r.get(name).Truth() {
			given = append(given, name)
		}
	}
	if r.text("dcs") == "embedded" {
		for _, name := range given {
			r.fault(name, "contradicts dcs: embedded; keep one of them")
		}
		c.Embedded = r.readEmbedded(c)
		return
	}
	if len(given) == 0 {
		hint := ""
		if !r.get("embedded").IsNull() {
			hint = "; the section embedded needs dcs: embedded"
		}
		r.report.add(Problem{At: r.root.Position(), Severity: Error, Path: "etcd3",
			Message: "is not given, nor any other store: " + supportedStores + hint, Validator: missingStores()})
		return
	}
	used := given[0]
	for _, name := range given[1:] {
		r.warn(name, "is ignored: "+used+" is used")
	}
	if slices.Contains(unsupportedStores, used) {
		r.fault(used, "is not supported as a store; "+supportedStores)
		return
	}
	c.Etcd = r.readEtcd(used)
}

// missingStores is what Patroni's validator prints when there is no store.
func missingStores() string {
	var lines []string
	for _, name := range storeOrder {
		lines = append(lines, name+"  is not defined.")
	}
	return strings.Join(lines, "\n")
}

func (r reader) readEtcd(section string) *EtcdConfig {
	at := func(name string) string { return section + "." + name }
	e := &EtcdConfig{
		Protocol: r.text(at("protocol")), UseProxies: r.truth(at("use_proxies")),
		SRV: r.text(at("srv")), SRVSuffix: r.text(at("srv_suffix")),
		Username: r.text(at("username")), Password: r.secret(at("password")),
		CACert: r.text(at("cacert")), Cert: r.text(at("cert")), Key: r.text(at("key")),
		FromOldSection: section == "etcd",
	}
	for _, old := range []string{"discovery_srv", "srv_domain"} {
		if e.SRV == "" {
			e.SRV = r.text(at(old))
		}
	}
	if e.FromOldSection {
		r.warn(section, "is read as etcd3: only the v3 protocol is spoken. Rename the section to etcd3")
	}
	switch {
	case r.text(at("proxy")) != "":
		e.Proxy = r.etcdURL(e, at("proxy"))
		e.UseProxies = true
	case r.text(at("url")) != "":
		e.URL = r.etcdURL(e, at("url"))
	case len(r.hosts(at("hosts"))) > 0:
		r.etcdHosts(e, section, "hosts")
	case len(r.hosts(at("host"))) > 0:
		r.etcdHosts(e, section, "host")
	case e.SRV == "":
		r.fault(section, "names no server: one of hosts, host, url, proxy, srv is needed")
	}
	if e.Password != "" && e.Username == "" {
		r.fault(at("username"), "is missing beside the password")
	}
	if e.Key != "" && e.Cert == "" {
		r.fault(at("cert"), "is missing beside the key")
	}
	return e
}

func (r reader) etcdHosts(e *EtcdConfig, section, name string) {
	path := section + "." + name
	for _, text := range r.hosts(path) {
		bare := text
		if scheme, rest, found := strings.Cut(text, "://"); found {
			r.warn(path, fmt.Sprintf("has a host with a scheme (%s://); set protocol instead", scheme))
			bare = strings.TrimSuffix(rest, "/")
		}
		a, err := parseHostPort(bare, int(r.number(section+".port")))
		if err != nil || a.Host == "" {
			r.fault(path, "has an item that is not host:port")
			continue
		}
		e.Hosts = append(e.Hosts, a.String())
	}
}

// etcdURL takes protocol, host and credentials out of a URL and gives it without
// the credentials. Nothing of a faulty one is cited: it may hold a password.
func (r reader) etcdURL(e *EtcdConfig, path string) string {
	u, err := url.Parse(r.text(path))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		r.fault(path, "must be http(s)://[user:password@]host[:port]")
		return ""
	}
	e.Protocol = u.Scheme
	a, err := parseHostPort(u.Host, 2379)
	if err != nil {
		r.fault(path, err.Error())
		return ""
	}
	e.Hosts = []string{a.String()}
	if u.User != nil {
		password, _ := u.User.Password()
		e.Username, e.Password = u.User.Username(), Secret(password)
	}
	u.User = nil
	return u.String()
}
