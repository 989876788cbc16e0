package config

import (
	"fmt"
	"slices"
	"strings"
)

// Layer is where a value comes from, from the lowest to the highest.
type Layer string

// The layers of a configuration.
const (
	LayerDefault     Layer = "default"
	LayerDynamic     Layer = "dynamic" // shared by the cluster
	LayerFile        Layer = "file"
	LayerEnvironment Layer = "environment"
	LayerDerived     Layer = "derived"  // follows from another key
	LayerAdjusted    Layer = "adjusted" // by the rules that bind several keys
	LayerNone        Layer = "none"     // nobody's value counts
)

// Origin is a layer and the place in it.
type Origin struct {
	Layer Layer
	At    Position
}

// String is the place, or the layer where it has none.
func (o Origin) String() string {
	if o.At.Source == "" {
		return string(o.Layer)
	}
	return o.At.String()
}

// Setting is one key as it stands on a node: what counts, what had to give way and
// why, and what a change takes.
type Setting struct {
	Key    string // dotted; those of the dynamic configuration without bootstrap.dcs
	Value  any    // as JSON has it, secrets hidden; nil if nothing counts
	From   Origin
	Others []Other // values that do not count
	Apply  Apply
}

// Given tells whether somebody wrote the key, or anything that it overrode.
func (s Setting) Given() bool { return s.From.Layer != LayerDefault || len(s.Others) > 0 }

// Other is a value that does not count.
type Other struct {
	Value any
	From  Origin
	Why   string
}

// Dynamic is a dynamic configuration and where it was found.
type Dynamic struct {
	Document map[string]any
	Source   string // for a person: the store's key, or the file
	// FromBootstrap: there is none yet, so the bootstrap section will begin it.
	FromBootstrap bool
}

// explainer collects the settings of one node.
type explainer struct {
	reader
	local     *Config
	doc       *Value // the dynamic configuration
	effective Effective
	problems  []Problem // of the dynamic configuration
	dynamic   Dynamic
	out       []Setting
}

// Explain tells for every key what is in force on a node and why. The problems are
// those that the node has with the dynamic configuration; one of severity Error
// means that nodes refuse the document and keep what they had before.
func Explain(local *Config, d Dynamic) ([]Setting, []Problem) {
	x := &explainer{reader: reader{root: local.tree, report: &Report{}}, local: local, dynamic: d}
	x.effective, x.problems = Combine(d.Document, local)
	x.doc = FromJSON(d.Document, d.Source)
	if d.FromBootstrap {
		x.doc = local.tree.Get("bootstrap", "dcs") // with its lines
	}
	x.section(keyTree(), x.root, "")
	x.server()
	x.parameters()
	x.shared()
	slices.SortStableFunc(x.out, func(a, b Setting) int { return strings.Compare(a.Key, b.Key) })
	return x.out, x.problems
}

func (x *explainer) add(s Setting) { x.out = append(x.out, s) }

// origin is where a value of the node's own configuration was written.
func origin(v *Value) Origin {
	switch {
	case v.IsNull():
		return Origin{Layer: LayerNone}
	case strings.HasPrefix(v.At.Source, "environment"):
		return Origin{LayerEnvironment, v.At}
	}
	return Origin{LayerFile, v.At}
}

// sharedOrigin is where a value of the dynamic configuration was found.
func (x *explainer) sharedOrigin(v *Value) Origin {
	at := v.Position()
	if at.Source == "" {
		at.Source = x.dynamic.Source
	}
	return Origin{LayerDynamic, at}
}

// beneath are the values of the node's own layers that a higher one replaced.
func beneath(path string, v *Value) []Other {
	var out []Other
	for ; v != nil && v.below != nil; v = v.below {
		why := "a later file of the directory gives it too"
		switch {
		case strings.HasPrefix(v.At.Source, "environment"):
			why = "the environment comes before the file"
		case v.At.Source == v.below.At.Source:
			why = "it is given twice, and the last one counts"
		}
		out = append(out, Other{Masked(path, v.below), origin(v.below), why})
	}
	return out
}

// section walks the node's own configuration beside the table.
func (x *explainer) section(n *keyNode, v *Value, path string) {
	names := n.names()
	for _, f := range v.Fields() {
		if n.children[f.Name] == nil && (path != "" && n.key.Type != TypeSection || path == "bootstrap" && f.Value.Is(KindMap)) {
			names = append(names, f.Name)
		}
	}
	for _, f := range v.takenAway() {
		x.add(Setting{Key: join(path, f.Name), From: Origin{Layer: LayerNone},
			Others: []Other{{Masked(join(path, f.Name), f.Value), origin(f.Value), fmt.Sprintf("an empty value takes it away (%s)", f.At)}},
			Apply:  applies(join(path, f.Name))})
	}
	for _, name := range names {
		full := join(path, name)
		if full == "postgresql" || full == "bootstrap.dcs" {
			continue // explained where the two sides meet
		}
		child := n.children[name]
		if child == nil {
			child = &keyNode{key: Key{Path: full, Type: TypeAny}}
		}
		x.leaves(child, v.Get(name), full)
	}
}

// leaves adds one setting for a key, or goes on below a section.
func (x *explainer) leaves(n *keyNode, v *Value, path string) {
	switch n.key.Type {
	case TypeSection:
		x.section(n, v, path)
		return
	case TypeMap, TypeValues:
		if v.Is(KindMap) || len(n.children) > 0 {
			x.section(n, v, path)
			return
		}
	}
	s := Setting{Key: path, Apply: applies(path), Value: Masked(path, v), From: origin(v), Others: beneath(path, v)}
	if v.IsNull() {
		if n.key.Default == "" {
			return
		}
		s.Value, s.From = defaultValue(n.key), Origin{Layer: LayerDefault}
	}
	x.add(s)
}

// defaultValue is the default of the table in the form that JSON gives it.
func defaultValue(k Key) any {
	switch k.Type {
	case TypeInt, TypeSeconds, TypeMemory, TypeTime:
		if n, ok := ParseInt(k.Default, ""); ok {
			return n
		}
	case TypeBool:
		if b, ok := ParseBool(k.Default); ok {
			return b
		}
	case TypeTexts:
		return []any{k.Default}
	}
	return k.Default
}

// Describe tells what a key is for; false if the table does not have it.
func Describe(path string) (string, bool) {
	for _, full := range []string{path, dcsPath + path} {
		if n := keyTree().at(full); n != nil && n.key.Path == full {
			return n.key.Note, true
		}
	}
	return "", false
}
