// Package config reads the configuration of one node, patroni.yml, exactly as
// Patroni reads it: YAML 1.1, a file or a directory of files, the environment over
// it. It reports every fault at once, each with file and line.
//
// One table (Keys) describes every key; unknown names, wrong types, ranges and
// defaults come from it. Nothing here connects to anything: Load reads files only,
// and Inspect, which looks at the machine, is called for validation alone.
//
// Callers must not assume that a loaded configuration is the one in effect: the
// cluster shares settings through the store, and Combine joins the two.
package config

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"matriarch/internal/postgres/conf"
)

// Config is the local configuration of one node, with defaults filled in.
type Config struct {
	Scope     string
	Name      string
	Namespace string // without slashes at its ends

	Log        Log
	RestAPI    RestAPI
	Ctl        Ctl
	Etcd       *EtcdConfig     // nil when the store is embedded
	Embedded   *EmbeddedConfig // nil when the store is etcd
	Bootstrap  Bootstrap
	Postgresql Postgresql
	Tags       Tags
	Watchdog   Watchdog

	tree *Value // all layers of this node merged
	home string // of the user, for the default of pgpass
}

// Load reads the configuration of a node: path is a file or a directory, environ
// what os.Environ gives. The report holds every fault. With an error that stems
// from the report the configuration is given as far as it could be read, for
// validation; it must not be run.
func Load(path string, environ []string) (*Config, Report, error) {
	report := &Report{}
	tree, err := read(path, environ, report)
	return finish(tree, environ, report, err)
}

func finish(tree *Value, environ []string, report *Report, err error) (*Config, Report, error) {
	if err != nil {
		report.sort()
		return nil, *report, err
	}
	c := build(tree, environ, report)
	report.sort()
	if faults := report.Err(); faults != nil {
		return c, *report, fmt.Errorf("configuration is not usable:\n%w", faults)
	}
	return c, *report, nil
}

// LoadBytes reads a configuration from memory as Load reads it from a file of that
// name, without any environment.
func LoadBytes(text []byte, name string) (*Config, Report, error) {
	report := &Report{}
	tree, err := parse(text, name, report)
	if err == nil && !tree.Is(KindMap) {
		err = fmt.Errorf("read configuration: %s %w", name, ErrNotMap)
	}
	return finish(tree, nil, report, err)
}

// build checks a merged tree and takes the typed configuration out of it.
func build(tree *Value, environ []string, report *Report) *Config {
	tree = convertOldShapes(tree)
	checker := checker{report: report, methods: namedMethods(tree)}
	checker.section(keyTree(), tree, "")

	r := reader{root: tree, report: report}
	c := &Config{tree: tree}
	for _, pair := range environ {
		if home, ok := strings.CutPrefix(pair, "HOME="); ok {
			c.home = home
		}
	}
	c.Scope, c.Name = r.text("scope"), r.text("name")
	c.Namespace = strings.Trim(r.text("namespace"), "/")
	c.Log = r.readLog()
	c.RestAPI, c.Ctl = r.readRestAPI(), r.readCtl()
	c.Postgresql = r.readPostgresql(c.home)
	c.Bootstrap = r.readBootstrap()
	c.Tags = r.readTags()
	c.Watchdog = r.readWatchdog()
	r.readStore(c)
	r.checkIdentity(c)
	return c
}

// checkIdentity looks at what spans several sections.
func (r reader) checkIdentity(c *Config) {
	if strings.Contains(c.Scope, "/") || c.Scope == "." || c.Scope == ".." {
		r.fault("scope", "must not contain a slash")
	}
	if strings.Contains(c.Name, "/") {
		r.fault("name", "must not contain a slash")
	}
	if r.get("citus").Truth() {
		r.fault("citus", "is not supported")
	}
	if c.RestAPI.Listen.Port != 0 && c.RestAPI.Listen.Port == c.Postgresql.Listen.Port &&
		overlap(c.RestAPI.Listen.Hosts, c.Postgresql.Listen.Hosts) {
		r.fault("restapi.listen", fmt.Sprintf("and postgresql.listen are both port %d of one address", c.RestAPI.Listen.Port))
	}
	r.warnHiddenRecovery()
	for _, f := range r.get("postgresql.parameters").Fields() {
		if conf.IsControlled(f.Name) {
			r.report.warn(f.At, "postgresql.parameters."+f.Name,
				"is the same for the whole cluster: it is read from the dynamic configuration ("+dcsPath+"postgresql.parameters) or set by us, and ignored here")
		}
	}
}

// warnHiddenRecovery tells of a recovery setting among the parameters, which replaces
// the section recovery_conf, wherever that is given.
func (r reader) warnHiddenRecovery() {
	for _, at := range []string{"postgresql.", dcsPath + "postgresql."} {
		for _, f := range r.get(at + "parameters").Fields() {
			if !slices.Contains(recoverySettings, strings.ToLower(f.Name)) {
				continue
			}
			for _, hidden := range []string{"postgresql.recovery_conf", dcsPath + "postgresql.recovery_conf"} {
				if r.get(hidden).Truth() {
					r.report.warn(f.At, at+"parameters."+f.Name, "is a recovery setting, and hides the whole section "+hidden+" (line "+
						strconv.Itoa(r.position(hidden).Line)+"); put it there")
				}
			}
		}
	}
}

// overlap tells whether two lists of listen hosts have an address in common.
func overlap(a, b []string) bool {
	wildcard := func(host string) bool { return host == "" || host == "*" || host == "0.0.0.0" || host == "::" }
	for _, x := range a {
		for _, y := range b {
			if x == y || wildcard(x) || wildcard(y) {
				return true
			}
		}
	}
	return false
}

// Tree is the merged local configuration as it was written. It holds passwords.
func (c *Config) Tree() *Value { return c.tree }

// String names the node and its store, nothing else.
func (c Config) String() string {
	return fmt.Sprintf("configuration of %s in cluster %s, store %s", c.Name, c.Scope, c.storeName())
}

// GoString is String, so that no way of printing shows secrets.
func (c Config) GoString() string { return c.String() }

func (c Config) storeName() string {
	switch {
	case c.Embedded != nil:
		return "embedded"
	case c.Etcd != nil:
		return "etcd"
	}
	return "none"
}

// LogValue gives what a log may show of the configuration.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("scope", c.Scope), slog.String("name", c.Name),
		slog.String("store", c.storeName()), slog.String("postgresql", c.Postgresql.ConnectAddress.String()),
		slog.String("data_dir", c.Postgresql.DataDir))
}

// Validate gives the faults of the configuration again, but for those of the text
// itself (a key given twice), which only Load sees.
func (c *Config) Validate() []Problem {
	report := &Report{}
	build(c.tree, nil, report)
	report.sort()
	return report.Problems
}
