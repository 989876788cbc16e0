package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Kind is the type that a value has after reading, in the terms of YAML 1.1.
type Kind uint8

// The kinds of a Value.
const (
	KindNull Kind = iota
	KindBool
	KindInt
	KindFloat
	KindTimestamp
	KindString
	KindList
	KindMap
)

var kindNames = [...]string{"empty", "a boolean", "an integer", "a number", "a timestamp", "text", "a list", "a map"}

// String names the kind as a message to the operator does.
func (k Kind) String() string { return kindNames[k] }

// Position is where a value was written: a file, or an environment variable.
type Position struct {
	Source string // file name, or "environment variable PATRONI_…"
	Line   int    // counted from 1; 0 when the source has no lines
}

// String is the source and, if it has lines, the line.
func (p Position) String() string {
	if p.Line == 0 {
		return p.Source
	}
	return fmt.Sprintf("%s:%d", p.Source, p.Line)
}

// Value is one value of a configuration, with the place it comes from. Maps keep
// their order, since the arguments of scripts follow it. A Value is never changed
// once it was built, so layers can share parts; a nil *Value reads as null.
type Value struct {
	Kind   Kind
	At     Position
	text   string // KindString: the text; KindInt: decimal digits; KindTimestamp: as printed
	flag   bool
	number float64
	items  []*Value
	fields []Field

	// What a higher layer put aside, for explanations only: the value that stood
	// here, and the keys of a map that a null took away (At is the null's).
	below   *Value
	removed []Field
}

// Field is one entry of a map.
type Field struct {
	Name  string
	At    Position
	Value *Value
}

// IsNull tells whether there is no value: the key is missing, or is null.
func (v *Value) IsNull() bool { return v == nil || v.Kind == KindNull }

// Is tells whether the value has that kind.
func (v *Value) Is(k Kind) bool { return !v.IsNull() && v.Kind == k }

// Items are the elements of a list.
func (v *Value) Items() []*Value {
	if v == nil {
		return nil
	}
	return v.items
}

// Fields are the entries of a map in the order they were written.
func (v *Value) Fields() []Field {
	if v == nil {
		return nil
	}
	return v.fields
}

// Get finds a value below maps by its names; nil if there is none.
func (v *Value) Get(path ...string) *Value {
	for _, name := range path {
		v = v.field(name)
	}
	return v
}

func (v *Value) field(name string) *Value {
	for _, f := range v.Fields() {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// Position is where the value was written; nothing is known of a missing one.
func (v *Value) Position() Position {
	if v == nil {
		return Position{}
	}
	return v.At
}

// Truth is Python's: whatever is not empty, zero or null is true, so that even
// the text "false" is. Patroni reads many switches this way.
func (v *Value) Truth() bool {
	if v.IsNull() {
		return false
	}
	switch v.Kind {
	case KindBool:
		return v.flag
	case KindInt:
		return v.text != "0"
	case KindFloat:
		return v.number != 0
	case KindString:
		return v.text != ""
	case KindList:
		return len(v.items) > 0
	case KindMap:
		return len(v.fields) > 0
	}
	return true
}

// Text prints a scalar as Patroni does where text is wanted: a boolean as True or
// False, a timestamp with a blank. PostgreSQL takes any case; users' scripts
// compare with True. Null, lists and maps have no text.
func (v *Value) Text() string {
	if v.IsNull() {
		return ""
	}
	switch v.Kind {
	case KindBool:
		if v.flag {
			return "True"
		}
		return "False"
	case KindFloat:
		return floatText(v.number)
	case KindInt, KindString, KindTimestamp:
		return v.text
	}
	return ""
}

// IsScalar tells whether the value has a text.
func (v *Value) IsScalar() bool {
	return !v.IsNull() && v.Kind != KindList && v.Kind != KindMap
}

// Int is the value of an integer; false if it is none or does not fit.
func (v *Value) Int() (int64, bool) {
	if !v.Is(KindInt) {
		return 0, false
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	return n, err == nil
}

// floatText prints a number as Python's repr: the shortest digits that read back
// the same, with an exponent below 1e-4 and from 1e16.
func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// JSON gives the value as encoding/json takes it: map[string]any, []any, string,
// int64, float64, bool, nil. What JSON cannot say becomes text.
func (v *Value) JSON() any {
	if v.IsNull() {
		return nil
	}
	switch v.Kind {
	case KindBool:
		return v.flag
	case KindInt:
		if n, ok := v.Int(); ok {
			return n
		}
		return v.text
	case KindFloat:
		if math.IsNaN(v.number) || math.IsInf(v.number, 0) {
			return v.Text()
		}
		return v.number
	case KindList:
		list := make([]any, len(v.items))
		for i, item := range v.items {
			list[i] = item.JSON()
		}
		return list
	case KindMap:
		return v.JSONMap()
	}
	return v.Text()
}

// JSONMap is JSON for a map; never nil, and empty for everything else.
func (v *Value) JSONMap() map[string]any {
	m := make(map[string]any, len(v.Fields()))
	for _, f := range v.Fields() {
		m[f.Name] = f.Value.JSON()
	}
	return m
}

// String tells kind and place but not the value, which may be a password.
func (v *Value) String() string {
	if v.IsNull() {
		return "empty"
	}
	return fmt.Sprintf("%s at %s:%d", v.Kind, v.At.Source, v.At.Line)
}

// kindName names the kind of a value that may be missing.
func (v *Value) kindName() string {
	if v.IsNull() {
		return KindNull.String()
	}
	return v.Kind.String()
}

func newString(text string, at Position) *Value {
	return &Value{Kind: KindString, text: text, At: at}
}

func newInt(n int64, at Position) *Value {
	return &Value{Kind: KindInt, text: strconv.FormatInt(n, 10), At: at}
}

func newBool(b bool, at Position) *Value { return &Value{Kind: KindBool, flag: b, At: at} }

func newFloat(f float64, at Position) *Value { return &Value{Kind: KindFloat, number: f, At: at} }

func newMap(at Position, fields ...Field) *Value {
	return &Value{Kind: KindMap, At: at, fields: fields}
}

// with gives a map like v in which name has this value, in its old place or last.
func (v *Value) with(name string, value *Value) *Value {
	out := &Value{Kind: KindMap, At: v.Position(), removed: v.takenAway()}
	set := false
	for _, f := range v.Fields() {
		if f.Name == name {
			f.Value, set = value, true
		}
		out.fields = append(out.fields, f)
	}
	if !set {
		out.fields = append(out.fields, Field{Name: name, At: value.Position(), Value: value})
	}
	return out
}

// without gives a map like v that lacks these names.
func (v *Value) without(names ...string) *Value {
	out := &Value{Kind: KindMap, At: v.Position(), removed: v.takenAway()}
next:
	for _, f := range v.Fields() {
		for _, name := range names {
			if f.Name == name {
				continue next
			}
		}
		out.fields = append(out.fields, f)
	}
	return out
}

// over is the value with the one that it replaces kept below it.
func (v *Value) over(lower *Value) *Value {
	if v == nil || lower.IsNull() {
		return v
	}
	top := *v
	if top.below = lower; v.below != nil {
		top.below = v.below.over(lower)
	}
	return &top
}

func (v *Value) takenAway() []Field {
	if v == nil {
		return nil
	}
	return v.removed
}

// timestampText prints an instant as Python's datetime: microseconds and the
// offset only where there are any.
func timestampText(t time.Time, zoned bool) string {
	layout := "2006-01-02 15:04:05"
	if t.Nanosecond()/1000 != 0 {
		layout += ".000000"
	}
	if zoned {
		layout += "-07:00"
	}
	return t.Format(layout)
}
