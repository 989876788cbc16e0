package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"matriarch/internal/postgres/conf"
)

// Effective is what the node runs with: the cluster's dynamic configuration, with
// this node's own over it where the node may say.
type Effective struct {
	Timing
	// Postgresql has in Parameters all settings: the user's, the controlled ones
	// with their defaults, and those that come from listen and scope. Take them with
	// ParametersFor.
	Postgresql Postgresql
	// StandbyCluster is the section as it was written, nil if there is none.
	StandbyCluster map[string]any
}

// localOnly are keys below postgresql that the dynamic configuration cannot give.
var localOnly = []string{"connect_address", "proxy_address", "listen", "config_dir", "data_dir", "pgpass", "authentication"}

// Combine gives the effective configuration of a node. Not a deep merge: a local key
// below postgresql hides the dynamic one whole; only parameters merge name by name.
// With a problem of severity Error the dynamic document is refused, and the caller
// keeps what it had.
func Combine(dynamic map[string]any, local *Config) (Effective, []Problem) {
	report := &Report{}
	doc := FromJSON(dynamic, "dynamic configuration")
	if dynamic == nil {
		doc = newMap(Position{Source: "dynamic configuration"})
	}
	_, timing := reader{root: doc, report: report}.adjustTiming()
	e := Effective{Timing: timing}
	if standby := doc.Get("standby_cluster"); standby.Is(KindMap) && standby.Truth() {
		e.StandbyCluster = standby.JSONMap()
	}

	shared, own := doc.Get("postgresql"), local.tree.Get("postgresql")
	pg := newMap(own.Position())
	for _, f := range shared.without(slices.Concat(localOnly, []string{"parameters", "use_slots"})...).Fields() {
		if own.Get(f.Name).IsNull() {
			pg.fields = append(pg.fields, f)
		}
	}
	pg.fields = append(pg.fields, own.without("parameters", "use_slots").Fields()...)
	parameters := mergeParameters(shared.Get("parameters"), own.Get("parameters"), report)
	pg = pg.with("parameters", parameters)

	root := newMap(Position{}, Field{Name: "postgresql", Value: pg})
	// Types were checked where each layer was read; here faults of the dynamic one
	// only fall back to their defaults.
	quiet := reader{root: root, report: &Report{}}
	e.Postgresql = quiet.readPostgresql(local.home)
	e.Postgresql.UseSlots = reader{root: doc, report: report}.useSlots()
	setOwn(&e.Postgresql, local)
	checkShared(doc, report)
	return e, report.Problems
}

func (r reader) useSlots() bool {
	v := r.get("postgresql.use_slots")
	if v.IsNull() {
		return true
	}
	on, _ := v.Bool()
	return on
}

// mergeParameters takes the controlled settings from the shared side, or their
// defaults, and everything else from both, the node's own first.
func mergeParameters(shared, own *Value, report *Report) *Value {
	out := newMap(own.Position())
	if !shared.IsNull() && !shared.Is(KindMap) {
		report.error(shared.At, "postgresql.parameters", "is not a dictionary")
	}
	seen := map[string]bool{} // lower-case names
	add := func(name string, v *Value) {
		if seen[strings.ToLower(name)] || v.IsNull() {
			return
		}
		seen[strings.ToLower(name)] = true
		out.fields = append(out.fields, Field{Name: name, At: v.At, Value: v})
	}
	for _, c := range conf.ControlledSettings() {
		if c.Takes != "" {
			addControlled(c, shared, add, report)
		}
	}
	for _, side := range []*Value{own, shared} {
		for _, f := range side.Fields() {
			if !conf.IsControlled(f.Name) {
				add(f.Name, f.Value)
			}
		}
	}
	return out
}

func addControlled(c conf.Controlled, shared *Value, add func(string, *Value), report *Report) {
	for _, f := range shared.Fields() {
		if !strings.EqualFold(f.Name, c.Name) || f.Value.IsNull() {
			continue
		}
		if text, ok := accept(c, f.Value); ok {
			add(c.Name, newString(text, f.At))
			return
		}
		report.warn(f.At, "postgresql.parameters."+c.Name,
			fmt.Sprintf("postgresql parameter %s=%s failed validation, defaulting to %s", c.Name, f.Value.Text(), c.Default))
	}
	if !c.FileOnly { // ParametersFor knows which of wal_keep_size and wal_keep_segments is meant
		add(c.Name, newString(c.Default, Position{}))
	}
}

// setOwn adds the settings that come from elsewhere in the node's configuration.
func setOwn(p *Postgresql, local *Config) {
	p.Parameters["listen_addresses"] = strings.Join(p.Listen.Hosts, ",")
	p.Parameters["port"] = strconv.Itoa(p.Listen.Port)
	p.Parameters["cluster_name"] = local.Scope
}

// checkShared tells of values below postgresql that fall back to their defaults.
func checkShared(doc *Value, report *Report) {
	inner := &Report{}
	c := checker{report: inner, methods: namedMethods(newMap(Position{}, Field{Name: "bootstrap",
		Value: newMap(Position{}, Field{Name: "dcs", Value: doc})}))}
	c.section(keyTree().at(dcsPath), doc, "")
	for _, p := range inner.Problems {
		if p.Path == "postgresql.parameters" {
			continue // told already
		}
		p.Severity = Warning
		report.add(p)
	}
}
