package conf

import (
	"fmt"
	"strings"
)

// conninfoOrder is the order in which Patroni writes the keys of
// primary_conninfo, with the PostgreSQL major from which a key is known.
var conninfoOrder = []struct {
	key   string
	since int
}{
	{"dbname", 0}, {"user", 0}, {"passfile", 10}, {"password", 0}, {"host", 0}, {"port", 0},
	{"sslmode", 0}, {"sslcompression", 0}, {"sslcert", 0}, {"sslkey", 0}, {"sslpassword", 13},
	{"sslrootcert", 0}, {"sslcrl", 0}, {"sslcrldir", 14}, {"application_name", 0}, {"krbsrvname", 0},
	{"gssencmode", 12}, {"channel_binding", 13}, {"target_session_attrs", 10}, {"sslnegotiation", 17},
	{"connect_timeout", 0}, {"options", 0},
}

// Conninfo renders a libpq connection string: known keys only, in a fixed order,
// those left out that are empty or younger than the major. Inside a value the
// quote, the backslash and the blank get a backslash.
func Conninfo(values map[string]string, major int) string {
	escape := strings.NewReplacer(`'`, `\'`, `\`, `\\`, ` `, `\ `)
	var parts []string
	for _, k := range conninfoOrder {
		if value := values[k.key]; value != "" && major >= k.since {
			parts = append(parts, k.key+"="+escape.Replace(value))
		}
	}
	return strings.Join(parts, " ")
}

// ParseConninfo reads a key=value connection string (fe-connect.c,
// conninfo_parse). The error never quotes the string: it may hold a password.
func ParseConninfo(text string) (map[string]string, error) {
	values := map[string]string{}
	rest := strings.TrimLeft(text, blanks)
	for rest != "" {
		end := strings.IndexAny(rest, "="+blanks)
		if end <= 0 {
			return nil, fmt.Errorf("parse connection string: no value after a key")
		}
		key := rest[:end]
		rest = strings.TrimLeft(rest[end:], blanks)
		if !strings.HasPrefix(rest, "=") {
			return nil, fmt.Errorf("parse connection string: no = after %q", key)
		}
		value, after, ok := conninfoValue(strings.TrimLeft(rest[1:], blanks))
		if !ok {
			return nil, fmt.Errorf("parse connection string: the value of %q is not closed", key)
		}
		values[key] = value
		rest = strings.TrimLeft(after, blanks)
	}
	return values, nil
}

const blanks = " \t\n\r\v\f"

func conninfoValue(text string) (value, rest string, ok bool) {
	quoted := strings.HasPrefix(text, "'")
	i := 0
	if quoted {
		i = 1
	}
	var out strings.Builder
	for ; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text):
			i++
			out.WriteByte(text[i])
		case quoted && c == '\'':
			return out.String(), text[i+1:], true
		case !quoted && strings.IndexByte(blanks, c) >= 0:
			return out.String(), text[i:], true
		case c == '\\': // a lone one at the very end is dropped, as libpq does
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), "", !quoted
}
