package config

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// Type says which values a key takes.
type Type uint8

// The types of keys.
const (
	TypeSection Type = iota // a map of known keys
	TypeText
	TypeSwitch  // a boolean; other values by Python's truth, as Patroni takes them
	TypeBool    // a boolean in PostgreSQL's spelling
	TypeInt     // a number without unit
	TypeMemory  // a number, units of memory allowed, counted in bytes
	TypeTime    // a number, units of time allowed, counted in seconds
	TypeLength  // a time, with a fraction or a unit, counted in seconds
	TypeSeconds // whole seconds, checked where the timing is adjusted
	TypeMap     // a map whose names are free
	TypeValues  // a map from free names to scalars
	TypeTexts   // a list of texts
	TypeHosts   // a list of texts, or one text with commas
	TypeList    // a list of anything
	TypeOptions // options of a program: a list of names and pairs, or a map
	TypeFormat  // a text, or a list of texts and pairs
	TypeSync    // a boolean in PostgreSQL's spelling, or quorum
	TypeAny
)

var typeNames = [...]string{"section", "text", "switch", "boolean", "integer", "memory", "time", "length of time", "seconds", "map", "map of values",
	"list of text", "hosts", "list", "options", "text or list", "boolean or quorum", "any"}

// String names the type for the documentation.
func (t Type) String() string { return typeNames[t] }

// Key describes one key of patroni.yml. From the table of all of them come the
// checks, the warnings about unknown names, the defaults and the documentation.
type Key struct {
	Path    string // dotted; * stands for any name
	Type    Type
	Default string // as text, empty for none
	Note    string

	Required bool
	Secret   bool   // the value never appears in a message
	Lenient  bool   // Patroni warns of a wrong value and runs with the default
	Instead  string // what a lenient key does then, if it is not the default
	Idle     string // why the key is accepted and has no effect; empty: it has one
	Local    bool   // below postgresql: never in the dynamic configuration
	NonEmpty bool   // a list must have elements
	Choices  []string
	AnyCase  bool // Choices are compared without regard to case
	Min, Max *int64
}

func key(path string, t Type, def, note string, options ...func(*Key)) Key {
	k := Key{Path: path, Type: t, Default: def, Note: note}
	for _, option := range options {
		option(&k)
	}
	return k
}

func required(k *Key) { k.Required = true }
func secret(k *Key)   { k.Secret = true }
func lenient(k *Key)  { k.Lenient = true }
func local(k *Key)    { k.Local = true }
func nonEmpty(k *Key) { k.NonEmpty = true }

func oneOf(choices ...string) func(*Key) { return func(k *Key) { k.Choices = choices } }
func oneOfAnyCase(choices ...string) func(*Key) {
	return func(k *Key) { k.Choices, k.AnyCase = choices, true }
}
func idle(why string) func(*Key)     { return func(k *Key) { k.Idle = why } }
func instead(what string) func(*Key) { return func(k *Key) { k.Instead = what } }
func atLeast(n int64) func(*Key)     { return func(k *Key) { k.Min = &n } }
func between(low, high int64) func(*Key) {
	return func(k *Key) { k.Min, k.Max = &low, &high }
}

// dcsPath is where the local file holds the first dynamic configuration.
const dcsPath = "bootstrap.dcs."

// Keys lists every known key, sorted by path. Those of the dynamic configuration
// stand below bootstrap.dcs.
var Keys = sync.OnceValue(func() []Key {
	keys := slices.Concat(globalKeys, restapiKeys, postgresqlKeys(), storeKeys(), bootstrapKeys)
	dynamic := slices.Clone(dynamicKeys)
	for _, k := range postgresqlKeys() {
		if !k.Local && k.Path != "postgresql" {
			k.Required = false
			dynamic = append(dynamic, k)
		}
	}
	for _, k := range dynamic {
		k.Path = dcsPath + k.Path
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.Path, b.Path) })
	return keys
})

// Default is the default of a key as text; empty if it has none.
func Default(path string) string { return keyOf(path).Default }

// keyNode is one level of the table as a tree, for walking beside a configuration.
type keyNode struct {
	key      Key
	children map[string]*keyNode
	any      *keyNode // child for names that the table does not fix
}

var keyTree = sync.OnceValue(func() *keyNode {
	root := &keyNode{children: map[string]*keyNode{}}
	for _, k := range Keys() {
		n := root
		for name := range strings.SplitSeq(k.Path, ".") {
			n = n.child(name)
		}
		n.key = k
	}
	return root
})

func (n *keyNode) child(name string) *keyNode {
	if name == "*" {
		if n.any == nil {
			n.any = &keyNode{children: map[string]*keyNode{}}
		}
		return n.any
	}
	if n.children[name] == nil {
		n.children[name] = &keyNode{children: map[string]*keyNode{}}
	}
	return n.children[name]
}

// at finds a node by its dotted path; nil if the table has none.
func (n *keyNode) at(path string) *keyNode {
	for name := range strings.SplitSeq(strings.TrimSuffix(path, "."), ".") {
		if next := n.children[name]; next != nil {
			n = next
		} else if n.any != nil {
			n = n.any
		} else {
			return nil
		}
	}
	return n
}

func (n *keyNode) names() []string { return slices.Sorted(maps.Keys(n.children)) }

// holdsSecret tells whether a name below may be a password out of place.
func (n *keyNode) holdsSecret() bool {
	for _, child := range n.children {
		if child.key.Secret {
			return true
		}
	}
	return false
}

// pathsNamed lists the dotted paths whose last name is this one.
var pathsNamed = sync.OnceValue(func() map[string][]string {
	paths := map[string][]string{}
	for _, k := range Keys() {
		name := k.Path[strings.LastIndexByte(k.Path, '.')+1:]
		paths[name] = append(paths[name], k.Path)
	}
	return paths
})
