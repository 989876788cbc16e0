package config

import (
	"slices"
	"strings"
)

// Change is a key of the node's own configuration whose value is another now.
type Change struct {
	Key   string
	Apply Apply
}

// Changes lists the keys in which two configurations of a node differ, sorted. Values
// are not in it: they may be secret.
func Changes(before, now *Config) []Change {
	var out []Change
	var walk func(path string, a, b *Value)
	walk = func(path string, a, b *Value) {
		if Same(a, b) {
			return
		}
		if a.Is(KindMap) && b.Is(KindMap) || a.IsNull() && b.Is(KindMap) || a.Is(KindMap) && b.IsNull() {
			var names []string
			for _, f := range slices.Concat(a.Fields(), b.Fields()) {
				names = append(names, f.Name)
			}
			slices.Sort(names)
			for _, name := range slices.Compact(names) {
				walk(join(path, name), a.Get(name), b.Get(name))
			}
			if len(names) > 0 {
				return
			}
		}
		c := Change{Key: path, Apply: applies(path)}
		if name, is := strings.CutPrefix(path, "postgresql.parameters."); is {
			c.Apply = appliesParameter(name, false)
		}
		out = append(out, c)
	}
	walk("", before.tree, now.tree)
	return out
}

// AgentRestart tells whether the change counts only when the agent is started anew.
func (c Change) AgentRestart() bool { return c.Apply.How == restartAgent }

// Left is what is left to do, or to know, once the node's own file was read again; empty
// if the change counts.
func (c Change) Left() string {
	left, reloaded := strings.CutPrefix(c.Apply.How, reloadAgent)
	if !reloaded {
		return c.Apply.How
	}
	left = strings.TrimPrefix(strings.TrimLeft(left, ",; "), "then ")
	if left == serverReloads {
		return ""
	}
	return left
}
