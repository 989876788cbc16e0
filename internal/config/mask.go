package config

import (
	"strings"

	"matriarch/internal/postgres/conf"
)

// Masked is the value as encoding/json takes it, for a person to see: what the key
// or its name marks as a secret is hidden, and so is a password inside an address or
// a connection string.
func Masked(path string, v *Value) any {
	if v.IsNull() {
		return nil
	}
	if k := keyOf(path); v.IsScalar() && (k.Secret && !strings.Contains(v.Text(), "://") || conf.SecretName(path)) {
		return hidden
	}
	switch {
	case v.Is(KindMap):
		out := map[string]any{}
		for _, f := range v.Fields() {
			out[f.Name] = Masked(join(path, f.Name), f.Value)
		}
		return out
	case v.Is(KindList):
		out := make([]any, len(v.items))
		for i, item := range v.items {
			out[i] = Masked(path, item)
		}
		return out
	case v.Is(KindString):
		return conf.MaskText(v.text)
	}
	return v.JSON()
}
