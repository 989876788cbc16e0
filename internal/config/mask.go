package config

import (
	"regexp"
	"strings"
)

// Masked is the value as encoding/json takes it, for a person to see: what the key
// or its name marks as a secret is hidden, and so is a password inside an address or
// a connection string.
func Masked(path string, v *Value) any {
	if v.IsNull() {
		return nil
	}
	if k := keyOf(path); v.IsScalar() && (k.Secret && !strings.Contains(v.Text(), "://") || secretName(path)) {
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
		return maskText(v.text)
	}
	return v.JSON()
}

// secretName tells by its last name that a key of a free map holds a secret.
// password_encryption is not one.
func secretName(path string) bool {
	name := strings.ToLower(path[strings.LastIndexByte(path, '.')+1:])
	for _, part := range []string{"password", "passphrase", "passwd", "secret", "token", "apikey", "api_key"} {
		if strings.HasSuffix(name, part) {
			return true
		}
	}
	return false
}

var (
	userinfo  = regexp.MustCompile(`(://[^/\s:@]*):[^/\s@]*@`)
	connWords = regexp.MustCompile(`(?i)\b(\w*password|passphrase|secret|token)(\s*=\s*)('(?:[^'\\]|\\.)*'|"[^"]*"|(?:[^\s'\\]|\\.)+)`)
)

func maskText(text string) string {
	return connWords.ReplaceAllString(userinfo.ReplaceAllString(text, "$1:"+hidden+"@"), "${1}${2}"+hidden)
}
