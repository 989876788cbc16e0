package config

import (
	"fmt"
	"slices"
	"strings"

	"matriarch/internal/postgres/conf"
)

// Why a value below postgresql does not count.
const (
	whyOwnHides    = "the node's own value comes first"
	whyOwnHidesAll = "the node's own section hides the cluster's whole, also the keys that it does not give"
	whyLocalOnly   = "only the node itself can say this"
	whySharedOnly  = "only the dynamic configuration counts for this key"
	whyAtBirth     = "the bootstrap section counts only when a cluster is created; this one has its dynamic configuration"
)

// server explains what is below postgresql, but for the parameters: the node's own
// key hides the cluster's whole.
func (x *explainer) server() {
	own, shared := x.root.Get("postgresql"), x.doc.Get("postgresql")
	table := keyTree().at("postgresql")
	names := table.names()
	for _, side := range []*Value{own, shared} {
		for _, f := range side.Fields() {
			if !slices.Contains(names, f.Name) && f.Value.Is(KindMap) { // a replica method
				names = append(names, f.Name)
			}
		}
	}
	for _, name := range names {
		if name == "parameters" || name == "use_slots" {
			continue
		}
		n := table.children[name]
		if n == nil {
			n = &keyNode{key: Key{Type: TypeMap}}
		}
		x.serverKey(n, "postgresql."+name, own.Get(name), shared.Get(name))
	}
	for _, f := range own.takenAway() {
		path := "postgresql." + f.Name
		x.add(Setting{Key: path, From: Origin{Layer: LayerNone}, Apply: applies(path),
			Others: []Other{{Masked(path, f.Value), origin(f.Value), fmt.Sprintf("an empty value takes it away (%s)", f.At)}}})
	}
}

func (x *explainer) serverKey(n *keyNode, path string, own, shared *Value) {
	first := len(x.out)
	switch {
	case !own.IsNull() || n.key.Local:
		x.leaves(n, own, path)
	case !shared.IsNull():
		x.leaves(n, shared, path)
		for i := range x.out[first:] {
			if s := &x.out[first+i]; s.From.Layer == LayerFile {
				s.From = x.sharedOrigin(shared)
				s.Apply = Apply{s.Apply.Restart, byEdit}
			}
		}
		return
	default:
		x.leaves(n, own, path)
		return
	}
	if shared.IsNull() {
		return
	}
	why := whyOwnHides
	switch {
	case n.key.Local:
		why = whyLocalOnly
	case own.Is(KindMap):
		why = whyOwnHidesAll
	}
	x.hidden(first, path, shared, why)
}

// hidden adds what the cluster's value would have given, each part to the setting
// that stands for it.
func (x *explainer) hidden(first int, path string, shared *Value, why string) {
	if shared.Is(KindMap) {
		for _, f := range shared.Fields() {
			x.hidden(first, join(path, f.Name), f.Value, why)
		}
		return
	}
	other := Other{Masked(path, shared), x.sharedOrigin(shared), why}
	for i := first; i < len(x.out); i++ {
		if x.out[i].Key == path {
			x.out[i].Others = append(x.out[i].Others, other)
			return
		}
	}
	x.add(Setting{Key: path, From: Origin{Layer: LayerNone}, Others: []Other{other}, Apply: applies(path)})
}

// parameters explains the settings of the server, name by name.
func (x *explainer) parameters() {
	own, shared := x.root.Get("postgresql", "parameters"), x.doc.Get("postgresql", "parameters")
	seen := map[string]bool{}
	for _, c := range conf.ControlledSettings() {
		seen[c.Name] = true
		if !c.Old {
			x.controlled(c, own, shared)
		}
	}
	recovery := ""
	for _, side := range []*Value{own, shared} {
		for _, f := range side.Fields() {
			lower := strings.ToLower(f.Name)
			if seen[lower] || f.Value.IsNull() {
				continue
			}
			seen[lower] = true
			x.parameter(f.Name, find(own, f.Name), find(shared, f.Name))
			if recovery == "" && slices.Contains(recoverySettings, lower) {
				recovery = f.Name
			}
		}
	}
	if recovery == "" {
		return
	}
	for i := range x.out {
		if s := &x.out[i]; strings.HasPrefix(s.Key, "postgresql.recovery_conf.") && s.From.Layer != LayerNone {
			s.Others = append([]Other{{s.Value, s.From, "the recovery setting " + recovery + " among postgresql.parameters replaces the whole section"}}, s.Others...)
			s.Value, s.From = nil, Origin{Layer: LayerNone}
		}
	}
}

// find looks a parameter up; PostgreSQL's names know no case.
func find(v *Value, name string) *Value {
	for _, f := range v.Fields() {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return nil
}

func (x *explainer) parameter(name string, own, shared *Value) {
	path := "postgresql.parameters." + name
	s := Setting{Key: path, Apply: appliesParameter(name, own.IsNull())}
	if own.IsNull() {
		s.Value, s.From = Masked(path, shared), x.sharedOrigin(shared)
	} else {
		s.Value, s.From, s.Others = Masked(path, own), origin(own), beneath(path, own)
		if !shared.IsNull() {
			s.Others = append(s.Others, Other{Masked(path, shared), x.sharedOrigin(shared), whyOwnHides})
		}
	}
	x.add(s)
}

// controlled explains a setting that must be the same on all nodes.
func (x *explainer) controlled(c conf.Controlled, own, shared *Value) {
	path := "postgresql.parameters." + c.Name
	s := Setting{Key: path, Apply: appliesParameter(c.Name, true), From: Origin{Layer: LayerDefault}}
	s.Value = x.effective.Postgresql.ParametersFor(versionKeepSize)[c.Name]
	given := find(shared, c.Name)
	if c.Name == "wal_keep_size" && given.IsNull() {
		given = find(shared, "wal_keep_segments")
	}
	switch _, ok := accept(c, given); {
	case c.Takes == "":
		s.From = Origin{LayerDerived, x.position(c.From)}
		if !given.IsNull() {
			s.Others = append(s.Others, Other{Masked(path, given), x.sharedOrigin(given), "it comes from " + c.From})
		}
	case given.IsNull():
	case ok || c.Name == "wal_keep_size" && find(shared, "wal_keep_size").IsNull():
		s.From = x.sharedOrigin(given)
		if text := strings.ToLower(given.Text()); c.Name == "wal_level" && text == "hot_standby" {
			s.Others = append(s.Others, Other{text, x.sharedOrigin(given), "the old name of replica"})
		}
	default:
		s.Others = append(s.Others, Other{Masked(path, given), x.sharedOrigin(given), "it is not " + c.Takes + ", so the default is used (not the limit)"})
	}
	if v := find(own, c.Name); !v.IsNull() {
		s.Others = append(s.Others, Other{Masked(path, v), origin(v), "it must be the same on all nodes, so only the dynamic configuration counts"})
	}
	x.add(s)
}

// recoverySettings among the parameters hide postgresql.recovery_conf.
var recoverySettings = strings.Fields(`archive_cleanup_command primary_conninfo primary_slot_name promote_trigger_file
	recovery_end_command recovery_min_apply_delay recovery_target recovery_target_action recovery_target_inclusive
	recovery_target_lsn recovery_target_name recovery_target_time recovery_target_timeline recovery_target_xid
	restore_command standby_mode trigger_file pause_at_recovery_target`)
