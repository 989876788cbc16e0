package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"matriarch/internal/cluster"
)

// checker walks a configuration beside the table of keys and reports what does not
// fit: names that nobody reads, and values of a wrong type or out of range.
type checker struct {
	report *Report
	// methods are the names of sections that exist only because another key names
	// them: ways to make a standby or a cluster.
	methods map[string]bool
}

// section checks a map against the names that the table has for it.
func (c *checker) section(n *keyNode, v *Value, path string) {
	for _, f := range v.Fields() {
		childPath := join(path, f.Name)
		child := n.children[f.Name]
		if child == nil {
			child = n.any
		}
		if child != nil {
			c.value(child, f.Value, f.At, childPath)
			continue
		}
		if !c.isMethod(path, f) {
			c.unknown(n, f, path)
		}
	}
	for _, name := range n.names() {
		if n.children[name].key.Required && v.Get(name).IsNull() {
			c.report.add(Problem{At: v.Position(), Path: join(path, name), Severity: Error, Message: "is required and not given",
				Validator: join(path, name) + "  is not defined."})
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// isMethod tells whether an unknown section describes a way to make a standby or a
// cluster. One with a command may be named only in the dynamic configuration.
func (c *checker) isMethod(path string, f Field) bool {
	switch path {
	case "postgresql", "bootstrap", "bootstrap.dcs.postgresql":
		return c.methods[f.Name] || f.Value.Is(KindMap) && !f.Value.Get("command").IsNull()
	}
	return false
}

// unknown warns of a name that nobody reads. Names with x- are a custom for parts
// that hold anchors only.
func (c *checker) unknown(n *keyNode, f Field, path string) {
	full := join(path, f.Name)
	if path == "" && strings.HasPrefix(f.Name, "x-") {
		return
	}
	if n.holdsSecret() && f.Value.IsNull() {
		c.report.warn(f.At, path, "has an entry without a value, which is ignored; a text with a comma needs quotes")
		return
	}
	message := "is not a known key and is ignored"
	if place := elsewhere(path, f.Name); place != "" {
		message += "; its place is " + place
	} else if near := nearest(f.Name, n.names()); near != "" {
		message += "; did you mean " + join(path, near) + "?"
	}
	c.report.warn(f.At, full, message)
}

// elsewhere is the place of a known key that was put into the wrong section.
func elsewhere(path, name string) string {
	paths := pathsNamed()[name]
	if len(paths) == 1 {
		return paths[0]
	}
	// Of two places, one in the shared configuration: the other is meant.
	if len(paths) == 2 && strings.HasPrefix(paths[0], dcsPath) && !strings.HasPrefix(path, "bootstrap") {
		return paths[1]
	}
	return ""
}

func (c *checker) value(n *keyNode, v *Value, at Position, path string) {
	if v.IsNull() {
		return
	}
	k := n.key
	if k.Idle != "" && v.Text() != k.Default && v.Truth() {
		c.report.warn(at, path, "is accepted and has no effect: "+k.Idle)
	}
	switch k.Type {
	case TypeSection:
		if c.kind(k, v, path, KindMap) {
			c.section(n, v, path)
		}
	case TypeMap:
		if c.kind(k, v, path, KindMap) {
			c.known(n, v, path)
		}
	case TypeText:
		c.text(k, v, path)
	case TypeSwitch:
		c.truth(v, path)
	case TypeBool:
		if _, ok := v.Bool(); !ok {
			c.wrong(k, v, path, "a boolean")
		}
	case TypeSync:
		if _, ok := v.Bool(); !ok && !strings.EqualFold(v.Text(), "quorum") {
			c.wrong(k, v, path, "a boolean")
		}
	case TypeInt:
		c.number(k, v, path, "")
	case TypeMemory:
		c.number(k, v, path, "B")
	case TypeTime:
		c.number(k, v, path, "s")
	case TypeLength:
		switch d, ok := cluster.TimeWithUnit(v.Text()); {
		case !ok:
			c.wrong(k, v, path, "a time")
		case d < cluster.MinPermit:
			c.outOfRange(k, v, path, fmt.Sprintf("is %v, less than %v", d, cluster.MinPermit))
		}
	default:
		c.compound(k, v, path)
	}
}

// compound checks the types that are lists, or maps to scalars.
func (c *checker) compound(k Key, v *Value, path string) {
	switch k.Type {
	case TypeValues:
		if c.kind(k, v, path, KindMap) {
			c.scalars(v, path)
		}
	case TypeTexts:
		if c.kind(k, v, path, KindList) {
			c.texts(k, v, path)
		}
	case TypeHosts:
		if v.Is(KindList) {
			c.texts(k, v, path)
		} else {
			c.text(k, v, path)
		}
	case TypeList:
		if c.kind(k, v, path, KindList) {
			c.notEmpty(k, v, path)
		}
	case TypeFormat:
		if !v.Is(KindString) && c.kind(k, v, path, KindList) {
			c.notEmpty(k, v, path)
		}
	case TypeOptions:
		if !v.Is(KindMap) {
			c.kind(k, v, path, KindList)
		}
	}
}

// known checks those entries of a free map that the table describes.
func (c *checker) known(n *keyNode, v *Value, path string) {
	for _, f := range v.Fields() {
		if child := n.children[f.Name]; child != nil {
			c.value(child, f.Value, f.At, join(path, f.Name))
		}
	}
}

func (c *checker) kind(k Key, v *Value, path string, want Kind) bool {
	if v.Is(want) {
		return true
	}
	what := "a dictionary"
	if want == KindList {
		what = "a list"
	}
	c.wrong(k, v, path, what)
	return false
}

// wrong reports a value of the wrong type. What Patroni only warns of is a warning
// here as well, and says what is used instead.
func (c *checker) wrong(k Key, v *Value, path, want string) {
	c.bad(k, v, path, "is "+v.Kind.String()+shown(k, v)+", not "+strings.Replace(want, "dictionary", "map", 1), "is not "+want)
}

// bad reports a value that is not used. fault is our sentence, check Patroni's.
func (c *checker) bad(k Key, v *Value, path, fault, check string) {
	p := Problem{At: v.Position(), Path: path, Severity: Error, Message: fault}
	if k.Lenient {
		p.Severity = Warning
		p.Message += "; " + fallback(k)
	}
	p.Validator = validatorLine(k, v, path, check)
	c.report.add(p)
}

func fallback(k Key) string {
	if k.Instead != "" {
		return k.Instead
	}
	if k.Default == "" {
		return "it is ignored"
	}
	return "the default " + k.Default + " is used"
}

// hides tells whether a value is not cited: it has no text, is a secret, or has a
// password before the @ of an address.
func (k Key) hides(v *Value) bool {
	return k.Secret || !v.IsScalar() || strings.Contains(v.Text(), "@")
}

// shown cites a scalar that is no secret.
func shown(k Key, v *Value) string {
	if k.hides(v) || len(v.Text()) > 100 {
		return ""
	}
	return " (" + strconv.Quote(v.Text()) + ")"
}

// validatorLine is what Patroni's validator prints. Where it would print a secret,
// this one does not.
func validatorLine(k Key, v *Value, path, check string) string {
	value := v.Text()
	if k.hides(v) {
		value = ""
	}
	if v.Is(KindList) && len(v.items) == 0 {
		value = "[]"
	}
	return path + " " + value + " " + check
}

const wrongValue = "didn't pass validation: Wrong value"

// text takes text and, with a warning, what YAML made of text that was not quoted.
func (c *checker) text(k Key, v *Value, path string) {
	if len(k.Choices) > 0 && v.IsScalar() {
		c.choice(k, v, path)
		return
	}
	switch v.Kind {
	case KindString:
	case KindInt, KindFloat, KindTimestamp:
		message := "is " + v.Kind.String() + ", not text; put it in quotes"
		if !k.Secret {
			message = fmt.Sprintf("is %s and is read as the text %q; put it in quotes", v.Kind, v.Text())
		}
		c.report.add(Problem{At: v.At, Path: path, Message: message,
			Validator: validatorLine(k, v, path, "is not a string")})
	default:
		c.bad(k, v, path, "is "+v.Kind.String()+", not text; put text in quotes", "is not a string")
	}
}

func (c *checker) choice(k Key, v *Value, path string) {
	fits := func(choice string) bool {
		return choice == v.Text() || (k.AnyCase || v.Is(KindBool)) && strings.EqualFold(choice, v.Text())
	}
	if slices.ContainsFunc(k.Choices, fits) {
		return
	}
	message := "is " + strconv.Quote(v.Text()) + ", not one of " + strings.Join(k.Choices, ", ")
	if near := nearest(v.Text(), k.Choices); near != "" {
		message += "; did you mean " + near + "?"
	}
	c.bad(k, v, path, message, wrongValue)
}

// truth warns where Python's truth is not what a reader of the file expects.
func (c *checker) truth(v *Value, path string) {
	if v.Is(KindBool) {
		return
	}
	p := Problem{At: v.At, Path: path, Validator: validatorLine(Key{}, v, path, "is not a boolean")}
	meaning, known := v.Bool()
	switch {
	case !v.IsScalar():
		p.Severity, p.Message = Error, "is "+v.Kind.String()+", not a boolean"
	case known && meaning == v.Truth():
		return
	case v.Truth():
		p.Message = fmt.Sprintf("is the text %q, and any text counts as true; write it without quotes", v.Text())
	default:
		p.Message = "is empty text, which counts as false"
	}
	c.report.add(p)
}

func (c *checker) number(k Key, v *Value, path, base string) {
	n, ok := v.IntIn(base)
	switch {
	case !ok:
		c.wrong(k, v, path, "an integer")
	case k.Min != nil && n < *k.Min:
		c.outOfRange(k, v, path, fmt.Sprintf("is %d, less than %d", n, *k.Min))
	case k.Max != nil && n > *k.Max:
		c.outOfRange(k, v, path, fmt.Sprintf("is %d, more than %d", n, *k.Max))
	}
}

// outOfRange reports a number that Patroni's validator refuses. Its daemon takes
// most of them; so a key that has a fallback only warns.
func (c *checker) outOfRange(k Key, v *Value, path, fault string) {
	p := Problem{At: v.At, Path: path, Severity: Error, Message: fault, Validator: validatorLine(k, v, path, wrongValue)}
	if k.Lenient {
		p.Severity = Warning
	}
	c.report.add(p)
}

func (c *checker) scalars(v *Value, path string) {
	for _, f := range v.Fields() {
		if !f.Value.IsNull() && !f.Value.IsScalar() {
			c.report.error(f.At, join(path, f.Name), "is "+f.Value.Kind.String()+", not a single value")
		}
	}
}

func (c *checker) notEmpty(k Key, v *Value, path string) {
	if k.NonEmpty && len(v.items) == 0 {
		c.report.add(Problem{At: v.At, Path: path, Message: "is an empty list",
			Validator: validatorLine(k, v, path, "is an empty list")})
	}
}

// texts takes a list of texts; Patroni skips what is none.
func (c *checker) texts(k Key, v *Value, path string) {
	c.notEmpty(k, v, path)
	for i, item := range v.items {
		if item.Is(KindString) {
			continue
		}
		itemPath := join(path, strconv.Itoa(i))
		c.report.add(Problem{At: item.At, Path: itemPath, Message: "is " + item.Kind.String() + ", not text, and is skipped",
			Validator: validatorLine(k, item, itemPath, "is not a string")})
	}
}
