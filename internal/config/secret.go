package config

import "matriarch/internal/postgres/conf"

// Secret is a password. It prints as (hidden) in every way that Go prints, logs or
// encodes a value, so that it can stand in structures that are logged.
type Secret string

const hidden = conf.Hidden

// Reveal gives the password itself, to whoever sends it.
func (s Secret) Reveal() string { return string(s) }

// String hides the password, but not that there is none.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the password from %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// MarshalText hides the password from encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GoString hides the value from %#v; see String.
func (v *Value) GoString() string { return v.String() }
