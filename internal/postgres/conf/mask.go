package conf

import (
	"regexp"
	"strings"
)

// Hidden stands for a secret.
const Hidden = "(hidden)"

// Masked is the value of a setting for a person to see: what its name marks as a
// secret is hidden, and so is a password inside an address or a connection string.
func Masked(name, value string) string {
	if SecretName(name) {
		return Hidden
	}
	return MaskText(value)
}

// SecretName tells by the last part of a name that its value is a secret.
// password_encryption is none.
func SecretName(name string) bool {
	name = strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
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

// MaskText hides the secrets inside a text.
func MaskText(text string) string {
	return connWords.ReplaceAllString(userinfo.ReplaceAllString(text, "$1:"+Hidden+"@"), "${1}${2}"+Hidden)
}
