package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// merged is a configuration after a PATCH: null removes a key, objects are merged,
// anything else replaces what was there (compat/rest-api.md §10). A key that was
// not there is taken as it is given, nulls inside of it included. The document is
// left alone: others hold it.
func merged(doc, patch map[string]any) (out map[string]any, changed bool) {
	out = maps.Clone(doc)
	if out == nil {
		out = map[string]any{}
	}
	for name, value := range patch {
		have, present := doc[name]
		switch {
		case value == nil:
			delete(out, name)
			changed = changed || have != nil
		case !present:
			out[name], changed = value, true
		default:
			inner, into := value.(map[string]any)
			object, from := have.(map[string]any)
			if into && from {
				merged, news := merged(object, inner)
				out[name], changed = merged, changed || news
			} else if into || printed(have) != printed(value) {
				out[name], changed = value, true
			}
		}
	}
	return out, changed
}

// alike reports whether two configurations say the same: the same keys, and values
// that print alike, so 10 and "10" are no difference.
func alike(a, b any) bool {
	x, isMap := a.(map[string]any)
	y, isMapToo := b.(map[string]any)
	if !isMap || !isMapToo {
		return isMap == isMapToo && printed(a) == printed(b)
	}
	if len(x) != len(y) {
		return false
	}
	for name, value := range x {
		other, ok := y[name]
		if !ok || !alike(value, other) {
			return false
		}
	}
	return true
}

// printed is the form in which Patroni compares values: that of Python's str(). A
// true and a "True" are equal in it, a 1 and a 1.0 are not.
func printed(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	return inside(v)
}

// inside is the form of a value in a list or an object, where texts are quoted.
func inside(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case string:
		return strconv.Quote(v)
	case json.Number:
		return printedNumber(v.String())
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = inside(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, strconv.Quote(name)+": "+inside(v[name]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

// printedNumber keeps whole numbers digit by digit, and brings a number with a
// fraction or an exponent into one form.
func printedNumber(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	// Python changes to the exponent at 1e16 and below 1e-4 (float_repr_style short).
	if size := math.Abs(f); size != 0 && (size >= 1e16 || size < 1e-4) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	out := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(out, ".") {
		out += ".0"
	}
	return out
}
