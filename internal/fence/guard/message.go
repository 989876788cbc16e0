package guard

import (
	"errors"
	"strconv"
)

// A message is one line: a verb, then fields key=value, the value quoted as in Go
// where it is not plain. A key may come more than once ("arg"). The guard and the
// agent speak it alike:
//
//	start id=3 dir=/ path=/usr/lib/postgresql/15/bin/postgres arg=postgres arg=-D …
//	ok id=3 pid=4711
//	deadline at=89234719283
//	keep id=4 data="{\"term\":7}"
//	frozen at=89234719283
type Message struct {
	Verb   string
	Fields []Field
}

// Field is one key and its value.
type Field struct{ Key, Value string }

// LineMax is the longest message, in bytes. The environment of a server and its
// command line are in one.
const LineMax = 1 << 20

// With adds a field.
func (m Message) With(key, value string) Message {
	m.Fields = append(m.Fields, Field{key, value})
	return m
}

// WithInt adds a number.
func (m Message) WithInt(key string, value int64) Message {
	return m.With(key, strconv.FormatInt(value, 10))
}

// WithBool adds a truth.
func (m Message) WithBool(key string, value bool) Message {
	return m.With(key, strconv.FormatBool(value))
}

// Get returns the first value of a key, or nothing.
func (m Message) Get(key string) string {
	for _, f := range m.Fields {
		if f.Key == key {
			return f.Value
		}
	}
	return ""
}

// All returns every value of a key.
func (m Message) All(key string) []string {
	var values []string
	for _, f := range m.Fields {
		if f.Key == key {
			values = append(values, f.Value)
		}
	}
	return values
}

// Int returns a number; 0 where there is none.
func (m Message) Int(key string) int64 {
	n, err := strconv.ParseInt(m.Get(key), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Bool is true where the field says so.
func (m Message) Bool(key string) bool { return m.Get(key) == "true" }

// Line is the message as it is sent, with the line's end.
func (m Message) Line() []byte {
	b := append([]byte(nil), m.Verb...)
	for _, f := range m.Fields {
		b = append(b, ' ')
		b = append(b, f.Key...)
		b = append(b, '=')
		if plain(f.Value) {
			b = append(b, f.Value...)
		} else {
			b = strconv.AppendQuote(b, f.Value)
		}
	}
	return append(b, '\n')
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return s != ""
}

var errLine = errors.New("not a message of the guard's protocol")

// ParseMessage reads one line, with or without its end.
func ParseMessage(line string) (Message, error) {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	verb, rest, _ := cut(line, " ")
	m := Message{Verb: verb}
	if verb == "" || contains(verb, "=") {
		return Message{}, errLine
	}
	for rest != "" {
		key, after, found := cut(rest, "=")
		if !found || key == "" || contains(key, " ") || contains(key, `"`) {
			return Message{}, errLine
		}
		var value string
		if hasPrefix(after, `"`) {
			quoted, err := strconv.QuotedPrefix(after)
			if err != nil {
				return Message{}, errLine
			}
			if value, err = strconv.Unquote(quoted); err != nil {
				return Message{}, errLine
			}
			after = after[len(quoted):]
			if after != "" && after[0] != ' ' {
				return Message{}, errLine
			}
			rest, _ = cutPrefix(after, " ")
		} else {
			value, rest, _ = cut(after, " ")
		}
		m.Fields = append(m.Fields, Field{key, value})
	}
	return m, nil
}
