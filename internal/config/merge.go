package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Merge lays upper over lower, the rule for files of a directory, the environment
// and PATCH of the dynamic configuration alike: maps merge name by name, a null
// above deletes the key, everything else is replaced whole.
func Merge(lower, upper *Value) *Value {
	if !lower.Is(KindMap) || !upper.Is(KindMap) {
		return upper.over(lower)
	}
	out := &Value{Kind: KindMap, At: lower.At, removed: lower.removed}
	index := make(map[string]int, len(lower.fields))
	over := make(map[string]Field, len(upper.fields))
	for _, f := range upper.fields {
		over[f.Name] = f
	}
	for _, f := range lower.fields {
		u, both := over[f.Name]
		if both && u.Value.IsNull() {
			out.removed = append(slices.Clip(out.removed), Field{Name: f.Name, At: u.At, Value: f.Value})
			continue
		}
		if both {
			f = Field{Name: f.Name, At: u.At, Value: Merge(f.Value, u.Value)}
		}
		index[f.Name] = len(out.fields)
		out.fields = append(out.fields, f)
	}
	for _, f := range upper.fields {
		if _, done := index[f.Name]; !done && !f.Value.IsNull() {
			out.fields = append(out.fields, f)
		}
	}
	return out
}

// Same tells whether two configurations mean the same: equal sets of keys in maps,
// everything else compared by its printed text, so 5 and "5" are the same.
func Same(a, b *Value) bool {
	if a.IsNull() || b.IsNull() {
		return a.IsNull() && b.IsNull()
	}
	switch {
	case a.Kind == KindMap && b.Kind == KindMap:
		if len(a.fields) != len(b.fields) {
			return false
		}
		others := make(map[string]*Value, len(b.fields))
		for _, f := range b.fields {
			others[f.Name] = f.Value
		}
		for _, f := range a.fields {
			other, both := others[f.Name]
			if !both || !Same(f.Value, other) {
				return false
			}
		}
		return true
	case a.Kind == KindList && b.Kind == KindList:
		return slices.EqualFunc(a.items, b.items, Same)
	}
	return a.IsScalar() && b.IsScalar() && a.Text() == b.Text()
}

// FromJSON makes a Value of decoded JSON, of the kinds that Value.JSON gives, or of
// json.Number. A Go map has no order: names come sorted.
func FromJSON(v any, source string) *Value {
	at := Position{Source: source}
	switch v := v.(type) {
	case nil:
		return &Value{At: at}
	case bool:
		return newBool(v, at)
	case string:
		return newString(v, at)
	case int:
		return newInt(int64(v), at)
	case int64:
		return newInt(v, at)
	case float64:
		return numberFromJSON(v, at)
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			if f, err := v.Float64(); err == nil {
				return newFloat(f, at)
			}
		}
		return plainScalar(v.String(), at)
	case []any:
		out := &Value{Kind: KindList, At: at}
		for _, item := range v {
			out.items = append(out.items, FromJSON(item, source))
		}
		return out
	case map[string]any:
		out := newMap(at)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out.fields = append(out.fields, Field{Name: name, At: at, Value: FromJSON(v[name], source)})
		}
		return out
	}
	return newString(fmt.Sprint(v), at)
}

// numberFromJSON makes an integer of a number without a fraction: encoding/json
// gives float64 for both, and a port must not print as 5432.0.
func numberFromJSON(f float64, at Position) *Value {
	const exact = 1 << 53 // float64 holds every integer up to here
	if f == float64(int64(f)) && f > -exact && f < exact {
		return newInt(int64(f), at)
	}
	return newFloat(f, at)
}
