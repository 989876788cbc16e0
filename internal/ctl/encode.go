package ctl

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"matriarch/internal/cluster"
)

// jsonRows prints rows as patronictl does: one line, keys in the order of the
// columns, a blank after comma and colon, everything outside ASCII escaped.
func jsonRows(columns []column, rows []row) string {
	items := make([]string, 0, len(rows))
	for _, r := range rows {
		var fields []string
		for _, c := range columns {
			if v, ok := r[c.name]; ok {
				fields = append(fields, jsonText(c.name)+": "+jsonText(v))
			}
		}
		items = append(items, "{"+strings.Join(fields, ", ")+"}")
	}
	return "[" + strings.Join(items, ", ") + "]\n"
}

func jsonText(v any) string {
	switch v := v.(type) {
	case cluster.Tags:
		return jsonText(map[string]any(v))
	case map[string]any:
		var fields []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			fields = append(fields, jsonText(name)+": "+jsonText(v[name]))
		}
		return "{" + strings.Join(fields, ", ") + "}"
	case []any:
		var items []string
		for _, item := range v {
			items = append(items, jsonText(item))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return string(cluster.EncodeJSON(v))
}

// yamlRows prints rows as a block list, followed by the empty line that patronictl
// prints.
func yamlRows(rows []row) string {
	list := make([]any, len(rows))
	for i, r := range rows {
		list[i] = map[string]any(r)
	}
	return YAML(list) + "\n"
}

// YAML prints a value in block style with sorted keys, as PyYAML's safe_dump does,
// but never breaks a long line.
func YAML(v any) string {
	var b strings.Builder
	yamlBlock(&b, v, 0, false)
	return b.String()
}

// yamlBlock writes a value whose keys or items stand at the indent. The first one
// stands on the line that has been begun if inline is set.
func yamlBlock(b *strings.Builder, v any, indent int, inline bool) {
	pad := func(first bool) {
		if !first || !inline {
			b.WriteString(strings.Repeat(" ", indent))
		}
	}
	switch v := yamlValue(v).(type) {
	case map[string]any:
		if len(v) == 0 {
			b.WriteString("{}\n")
			return
		}
		for i, name := range slices.Sorted(maps.Keys(v)) {
			pad(i == 0)
			b.WriteString(yamlKey(name) + ":")
			switch item := yamlValue(v[name]).(type) {
			case map[string]any:
				if len(item) > 0 {
					b.WriteString("\n")
					yamlBlock(b, item, indent+2, false)
					continue
				}
			case []any:
				if len(item) > 0 {
					b.WriteString("\n")
					yamlBlock(b, item, indent, false)
					continue
				}
			}
			b.WriteString(" ")
			yamlBlock(b, v[name], indent+2, true)
		}
	case []any:
		if len(v) == 0 {
			b.WriteString("[]\n")
			return
		}
		for i, item := range v {
			pad(i == 0)
			b.WriteString("- ")
			yamlBlock(b, item, indent+2, true)
		}
	default:
		b.WriteString(yamlScalar(v, false, indent) + "\n")
	}
}

// yamlFlow prints a value on one line.
func yamlFlow(v any) string {
	switch v := yamlValue(v).(type) {
	case map[string]any:
		var fields []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			fields = append(fields, yamlString(name, true, 0)+": "+yamlFlow(v[name]))
		}
		return "{" + strings.Join(fields, ", ") + "}"
	case []any:
		var items []string
		for _, item := range v {
			items = append(items, yamlFlow(item))
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		return yamlScalar(v, true, 0)
	}
}

// yamlValue brings the types of this program to those of YAML.
func yamlValue(v any) any {
	switch v := v.(type) {
	case cluster.Tags:
		return map[string]any(v)
	case row:
		return map[string]any(v)
	}
	return v
}

func yamlScalar(v any, flow bool, indent int) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return yamlString(v, flow, indent)
	case json.Number:
		return yamlNumber(v.String())
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatInt(int64(v), 10)
		}
		return yamlNumber(strconv.FormatFloat(v, 'g', -1, 64))
	}
	return fmt.Sprint(v)
}

// yamlNumber keeps a number a number: YAML 1.1 wants a point in what has an
// exponent.
func yamlNumber(s string) string {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return s
	}
	if mantissa, exponent, ok := strings.Cut(s, "e"); ok && !strings.Contains(mantissa, ".") {
		return mantissa + ".0e" + exponent
	}
	return s
}

// otherType matches texts that YAML 1.1 would read as something else than text.
var otherType = regexp.MustCompile(`^(?:~|null|Null|NULL|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|=|<<` +
	`|[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+` +
	`|[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)` +
	`|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?)$`)

// yamlKey prints a key, which has to stay on one line.
func yamlKey(s string) string { return yamlString(s, strings.Contains(s, "\n"), 0) }

func yamlString(s string, flow bool, indent int) string {
	for _, r := range s {
		if r != '\n' && !unicode.IsPrint(r) {
			return doubleQuoted(s)
		}
	}
	if strings.HasPrefix(s, "\n") || strings.HasSuffix(s, "\n") || strings.Contains(s, " \n") || strings.Contains(s, "\n ") ||
		strings.Contains(s, "\n\n") || flow && strings.Contains(s, "\n") {
		return doubleQuoted(s)
	}
	if plainYAML(s, flow) {
		return s
	}
	// A line break inside single quotes is written as an empty line.
	s = strings.ReplaceAll(s, "'", "''")
	return "'" + strings.ReplaceAll(s, "\n", "\n\n"+strings.Repeat(" ", indent)) + "'"
}

// doubleQuoted is YAML's form for what cannot be printed as it is.
func doubleQuoted(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString("\\" + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02X`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			fmt.Fprintf(&b, `\U%08X`, r)
		}
	}
	return `"` + b.String() + `"`
}

func plainYAML(s string, flow bool) bool {
	switch {
	case s == "", looseNumber(s), strings.TrimSpace(s) != s, strings.Contains(s, "\n"), otherType.MatchString(s):
		return false
	case strings.Contains(s, ": "), strings.HasSuffix(s, ":"), strings.Contains(s, " #"):
		return false
	case flow && strings.ContainsAny(s, ",?[]{}:"):
		return false
	case strings.ContainsAny(s[:1], ",[]{}#&*!|>'\"%@`"):
		return false
	case strings.ContainsAny(s[:1], "?:-") && (len(s) == 1 || s[1] == ' ' || flow && s[0] != '-'):
		return false
	}
	return !strings.HasPrefix(s, "---") && !strings.HasPrefix(s, "...")
}

// looseNumber matches what some reader of YAML takes for a number though YAML 1.1
// does not, as 08 or 0B1.
func looseNumber(s string) bool {
	s = strings.ReplaceAll(s, "_", "")
	if s == "" || !strings.ContainsAny(s[:1], "+-.0123456789") {
		return false
	}
	_, notFloat := strconv.ParseFloat(s, 64)
	_, notInt := strconv.ParseInt(s, 0, 64)
	return notFloat == nil || notInt == nil
}

// tsvRows prints a header and one line per row, without any quoting.
func tsvRows(columns []column, rows []row) string {
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteString("\t")
		}
		b.WriteString(c.name)
	}
	b.WriteString("\n")
	for _, r := range rows {
		for i, c := range columns {
			if i > 0 {
				b.WriteString("\t")
			}
			b.WriteString(cellText(r[c.name]))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func cellText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case cluster.Tags:
		if len(v) == 0 {
			return ""
		}
		return yamlFlow(v)
	}
	return fmt.Sprint(v)
}
