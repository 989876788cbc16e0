package config

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

const (
	// valuesMax bounds how many values one document may have after its aliases are
	// expanded: nine nested lists of nine aliases would be a thousand million.
	valuesMax = 100_000
	// depthMax bounds nesting; a configuration needs seven levels.
	depthMax = 100
)

// parse reads one YAML document by the rules of YAML 1.1. The error is for text that
// cannot be read at all; faults that leave a readable tree (a key given twice, an
// unknown tag) go to the report. An empty document is null.
func parse(text []byte, source string, report *Report) (*Value, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, more yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return &Value{At: Position{Source: source, Line: 1}}, nil
	} else if err != nil {
		return nil, syntaxError(source, err)
	}
	if err := decoder.Decode(&more); err == nil {
		return nil, fmt.Errorf("read %s:%d: a second YAML document begins; there must be one", source, more.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxError(source, err)
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
		return nil, fmt.Errorf("read %s: not one YAML document", source)
	}
	c := converter{source: source, report: report, left: valuesMax, open: map[*yaml.Node]bool{}}
	return c.value(document.Content[0], 0)
}

// quoted finds what an error of the YAML reader cites: names of anchors and tags,
// which may be the beginning of a password that was not quoted.
var quoted = regexp.MustCompile("'[^']{2,}'|\"[^\"]{2,}\"|`[^`]{2,}`|![^ ]+")

func syntaxError(source string, err error) error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	message = quoted.ReplaceAllString(message, "…")
	return fmt.Errorf("read %s: %s", source, message)
}

// converter turns the nodes of the YAML library into values.
type converter struct {
	source string
	report *Report
	left   int                 // values that may still be made
	open   map[*yaml.Node]bool // collections around this one
	path   []string            // names of the maps around this one
}

// dotted is the path of a name in the map that is being read.
func (c *converter) dotted(name string) string {
	return strings.Join(append(slices.Clone(c.path), name), ".")
}

func (c *converter) at(n *yaml.Node) Position { return Position{Source: c.source, Line: n.Line} }

func (c *converter) value(n *yaml.Node, depth int) (*Value, error) {
	if c.left--; c.left < 0 {
		return nil, fmt.Errorf("read %s:%d: more than %d values after expanding aliases", c.source, n.Line, valuesMax)
	}
	if depth > depthMax {
		return nil, fmt.Errorf("read %s:%d: nested more than %d levels deep", c.source, n.Line, depthMax)
	}
	switch n.Kind {
	case yaml.AliasNode:
		if n.Alias == nil || c.open[n.Alias] {
			return nil, fmt.Errorf("read %s:%d: an alias stands inside its own anchor", c.source, n.Line)
		}
		return c.value(n.Alias, depth+1)
	case yaml.SequenceNode, yaml.MappingNode:
		c.collectionTag(n)
		if n.Kind == yaml.SequenceNode {
			return c.list(n, depth)
		}
		return c.mapping(n, depth)
	}
	return c.scalar(n), nil
}

func (c *converter) collectionTag(n *yaml.Node) {
	switch n.Tag {
	case "", "!", "!!map", "!!seq", "!!set", "!!omap", "!!pairs":
	default:
		c.report.error(c.at(n), strings.Join(c.path, "."), "has a tag that is not one of YAML's own")
	}
}

func (c *converter) list(n *yaml.Node, depth int) (*Value, error) {
	c.open[n] = true
	defer delete(c.open, n)
	out := &Value{Kind: KindList, At: c.at(n)}
	for _, child := range n.Content {
		item, err := c.value(child, depth+1)
		if err != nil {
			return nil, err
		}
		out.items = append(out.items, item)
	}
	return out, nil
}

// mapping reads a map. A merge key (<<) gives names that the map itself does not.
func (c *converter) mapping(n *yaml.Node, depth int) (*Value, error) {
	c.open[n] = true
	defer delete(c.open, n)
	out := &Value{Kind: KindMap, At: c.at(n)}
	seen := map[string]int{} // name → index in out.fields
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, child := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.Value == "<<" && isPlain(key) {
			merges = append(merges, child)
			continue
		}
		name, ok := c.name(key)
		if !ok {
			c.report.error(c.at(key), c.dotted("?"), "has a list or a map as its key")
			continue
		}
		c.path = append(c.path, name)
		value, err := c.value(child, depth+1)
		c.path = c.path[:len(c.path)-1]
		if err != nil {
			return nil, err
		}
		if first, twice := seen[name]; twice {
			c.report.error(c.at(key), c.dotted(name), fmt.Sprintf("is given twice in one map, first in line %d", out.fields[first].At.Line))
			out.fields[first].Value = value // the last one wins, as in Patroni
			continue
		}
		seen[name] = len(out.fields)
		out.fields = append(out.fields, Field{Name: name, At: c.at(key), Value: value})
	}
	for _, m := range merges {
		if err := c.merge(out, seen, m, depth); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// merge adds what << refers to, a map or a list of maps of which the first wins.
func (c *converter) merge(out *Value, seen map[string]int, n *yaml.Node, depth int) error {
	source, err := c.value(n, depth+1)
	if err != nil {
		return err
	}
	maps := []*Value{source}
	if source.Kind == KindList {
		maps = source.items
	}
	for _, m := range maps {
		if m.Kind != KindMap {
			c.report.error(c.at(n), c.dotted("<<"), "must name a map, or a list of maps")
			continue
		}
		for _, f := range m.fields {
			if _, given := seen[f.Name]; !given {
				seen[f.Name] = len(out.fields)
				out.fields = append(out.fields, f)
			}
		}
	}
	return nil
}

// name is a key as text; a boolean as JSON writes it.
func (c *converter) name(n *yaml.Node) (string, bool) {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		return "", false
	}
	v := c.scalar(n)
	switch v.Kind {
	case KindNull:
		return "null", true
	case KindBool:
		return strings.ToLower(v.Text()), true
	}
	return v.Text(), true
}

const anyQuotes = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

func isPlain(n *yaml.Node) bool { return n.Style&(anyQuotes|yaml.TaggedStyle) == 0 && n.Tag != "!" }

func (c *converter) scalar(n *yaml.Node) *Value {
	at := c.at(n)
	if isPlain(n) {
		return plainScalar(n.Value, at)
	}
	if n.Style&yaml.TaggedStyle == 0 {
		return newString(n.Value, at)
	}
	return c.tagged(n, at)
}

// tagged reads a scalar with an explicit type (!!str 12). A type other than those
// of YAML itself is refused, as Patroni's safe reader refuses it.
func (c *converter) tagged(n *yaml.Node, at Position) *Value {
	var want Kind
	switch n.Tag {
	case "!!str", "!":
		return newString(n.Value, at)
	case "!!binary":
		data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(n.Value), ""))
		if err != nil {
			c.report.error(at, strings.Join(c.path, "."), "is not base64, as its tag !!binary says")
		}
		return newString(string(data), at)
	case "!!null":
		return &Value{At: at}
	case "!!bool":
		want = KindBool
	case "!!int":
		want = KindInt
	case "!!float":
		want = KindFloat
	case "!!timestamp":
		want = KindTimestamp
	default:
		c.report.error(at, strings.Join(c.path, "."), "has a tag that is not one of YAML's own")
		return newString(n.Value, at)
	}
	v := plainScalar(n.Value, at)
	if n, ok := v.Int(); ok && want == KindFloat {
		return newFloat(float64(n), at)
	}
	if v.Kind != want {
		c.report.error(at, strings.Join(c.path, "."), fmt.Sprintf("is not %s, as its tag says", want))
	}
	return v
}
