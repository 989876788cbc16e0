package config

import "matriarch/internal/postgres/conf"

// ParseInt reads an integer as PostgreSQL reads one of its settings (conf.ParseInt).
func ParseInt(text, base string) (int64, bool) {
	if len(text) > scalarMax {
		return 0, false
	}
	return conf.ParseInt(text, base)
}

// IntIn is the value as an integer in base, see ParseInt. Booleans are no integers.
func (v *Value) IntIn(base string) (int64, bool) {
	if v.IsNull() || v.Kind == KindBool || !v.IsScalar() {
		return 0, false
	}
	return ParseInt(v.Text(), base)
}

// ParseBool reads a switch as Patroni reads PostgreSQL's (conf.ParseBool). PostgreSQL's
// own abbreviations are not taken.
func ParseBool(text string) (value, ok bool) { return conf.ParseBool(text) }

// Bool is the value as a PostgreSQL switch, see ParseBool.
func (v *Value) Bool() (value, ok bool) {
	if !v.IsScalar() {
		return false, false
	}
	return ParseBool(v.Text())
}
