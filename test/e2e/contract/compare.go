package contract

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Purpose is a difference that is kept, and why. The texts are patterns as of
// path.Match in which * also takes slashes.
type Purpose struct {
	Request string
	Field   string
	Theirs  string // what they say; empty: anything
	Ours    string // what we say; empty: anything
	Before  string // it is one to older versions only; empty: to all
	Why     string
}

// Missing stands for a field that one of the two does not have.
const Missing = "(missing)"

// Comparison counts the fields and keeps what differs and is not on the list.
type Comparison struct {
	Version  string // theirs
	Purposes []Purpose

	Compared int      // fields that were looked at
	Kept     int      // of them, different on purpose
	Faults   []string // different otherwise
	used     map[int]int
}

// Compare takes both answers to one request.
func (c *Comparison) Compare(state string, r Request, theirs, ours Fields) {
	names := map[string]bool{}
	for name := range theirs {
		names[name] = true
	}
	for name := range ours {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c.Compared++
		a, b := get(theirs, name), get(ours, name)
		switch {
		case a == b:
		case c.purpose(r, name, a, b):
			c.Kept++
		default:
			c.Faults = append(c.Faults, fmt.Sprintf("%s: %s: %s: theirs %s, ours %s", state, r, name, a, b))
		}
	}
}

func get(f Fields, name string) string {
	if v, there := f[name]; there {
		return v
	}
	return Missing
}

func (c *Comparison) purpose(r Request, field, theirs, ours string) bool {
	for i, p := range c.Purposes {
		if p.Before != "" && !Older(c.Version, p.Before) {
			continue
		}
		if match(p.Request, r.String()) && match(p.Field, field) && match(p.Theirs, theirs) && match(p.Ours, ours) {
			if c.used == nil {
				c.used = map[int]int{}
			}
			c.used[i]++
			return true
		}
	}
	return false
}

// Unused are the reasons of differences that were not seen, and should be taken off
// the list. Those to older versions are not, where the other one is not older.
func (c *Comparison) Unused() (out []string) {
	for i, p := range c.Purposes {
		if c.used[i] == 0 && (p.Before == "" || Older(c.Version, p.Before)) {
			out = append(out, fmt.Sprintf("%s: %s: %s", p.Request, p.Field, p.Why))
		}
	}
	return out
}

func match(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	flat := strings.NewReplacer("/", "\x01", "[", "\x02", "]", "\x03")
	ok, err := path.Match(flat.Replace(pattern), flat.Replace(text))
	return err == nil && ok
}

// Older compares two versions of three numbers.
func Older(a, b string) bool {
	x, y := numbers(a), numbers(b)
	return slices.Compare(x, y) < 0
}

func numbers(version string) []int {
	out := make([]int, 3)
	_, _ = fmt.Sscanf(version, "%d.%d.%d", &out[0], &out[1], &out[2]) // what is not there is 0
	return out
}
