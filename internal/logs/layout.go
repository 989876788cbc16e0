package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ncruces/go-strftime"
)

// record is one message with what is known of it.
type record struct {
	slog.Record
	source source
	attrs  []slog.Attr
	stack  string
}

// layout is how a record becomes a line.
type layout struct {
	json   bool
	date   string
	format string
	fields []Field
	static map[string]any
	names  []string // of static, sorted
	member string
}

// placeholder is a field in a layout, with the flags of printf: %(levelname)-8s.
var placeholder = regexp.MustCompile(`%%|%\((\w+)\)([-+ 0#]*\d*(?:\.\d+)?)([sdfrx])`)

func newLayout(o Options) *layout {
	l := &layout{json: o.JSON, date: o.DateFormat, fields: o.Format, static: o.StaticFields, names: slices.Sorted(maps.Keys(o.StaticFields)), member: o.Member}
	if len(o.Format) > 0 {
		l.format = o.Format[0].Name
	}
	if o.JSON && len(o.Format) == 1 && strings.Contains(l.format, "%(") {
		l.fields = nil
		for _, m := range placeholder.FindAllStringSubmatch(l.format, -1) {
			if m[1] != "" {
				l.fields = append(l.fields, Field{Name: m[1]})
			}
		}
	}
	return l
}

func (l *layout) line(r record) []byte {
	if l.json {
		return l.object(r)
	}
	return l.plain(r)
}

// plain is the layout, the attributes behind the message.
func (l *layout) plain(r record) []byte {
	var b strings.Builder
	last := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(l.format, -1) {
		b.WriteString(l.format[last:m[0]])
		last = m[1]
		if m[2] < 0 {
			b.WriteByte('%')
			continue
		}
		name, flags, verb := l.format[m[2]:m[3]], l.format[m[4]:m[5]], l.format[m[6]:m[7]]
		value := l.field(name, r)
		switch number := value.(type) {
		case nil:
			continue // a field that nobody knows
		case int:
			if verb == "d" || verb == "x" {
				fmt.Fprintf(&b, "%"+flags+verb, number)
				continue
			}
		case float64:
			if verb == "d" {
				fmt.Fprintf(&b, "%"+flags+"d", int(number))
				continue
			}
			if verb == "f" {
				fmt.Fprintf(&b, "%"+flags+"f", number)
				continue
			}
		}
		fmt.Fprintf(&b, "%"+flags+"s", fmt.Sprint(value))
	}
	b.WriteString(l.format[last:])
	if r.stack != "" {
		b.WriteString("\n" + r.stack)
	}
	b.WriteByte('\n')
	return []byte(b.String())
}

// object is the record as one line of JSON: the fields of the format, the static
// ones, the attributes.
func (l *layout) object(r record) []byte {
	var b bytes.Buffer
	seen := map[string]bool{}
	add := func(name string, value any) {
		if seen[name] || value == nil {
			return
		}
		seen[name] = true
		text, err := encode(value)
		if err != nil {
			text, _ = encode(fmt.Sprint(value)) // a text always has a form
		}
		key, _ := encode(name)
		if b.Len() == 0 {
			b.WriteByte('{')
		} else {
			b.WriteString(", ")
		}
		b.Write(key)
		b.WriteString(": ")
		b.Write(text)
	}
	for _, f := range l.fields {
		name := f.Output
		if name == "" {
			name = f.Name
		}
		if f.Name == "message" {
			add(name, r.Message)
			continue
		}
		add(name, l.field(f.Name, r))
	}
	for _, name := range l.names {
		add(name, l.static[name])
	}
	if l.member != "" {
		add("member", l.member)
	}
	for _, a := range r.attrs {
		add(a.Key, jsonValue(a.Value))
	}
	if r.stack != "" {
		add("exc_info", r.stack)
	}
	if b.Len() == 0 {
		b.WriteByte('{')
	}
	b.WriteString("}\n")
	return b.Bytes()
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// jsonValue is a value as JSON takes it; an error is its text.
func jsonValue(v slog.Value) any {
	switch v.Kind() {
	case slog.KindDuration:
		return v.Duration().String()
	case slog.KindAny:
		if err, is := v.Any().(error); is {
			return err.Error()
		}
	}
	return v.Any()
}

var processStart = time.Now()

// field is the value of a field of Python's logging; nil for one that is not known.
func (l *layout) field(name string, r record) any {
	switch name {
	case "message", "msg":
		return text(r)
	case "asctime":
		return l.time(r.Time)
	case "levelname":
		return levelName(r.Level)
	case "levelno":
		return levelNumber(r.Level)
	case "name":
		return r.source.part
	case "module":
		return strings.TrimSuffix(path.Base(r.source.file), ".go")
	case "filename":
		return path.Base(r.source.file)
	case "pathname":
		return r.source.file
	case "funcName":
		return r.source.function
	case "lineno":
		return r.source.line
	case "process":
		return os.Getpid()
	case "processName", "threadName", "taskName":
		return "matriarch"
	case "thread":
		return 0
	case "created":
		return float64(r.Time.UnixMicro()) / 1e6
	case "msecs":
		return float64(r.Time.Nanosecond()) / 1e6
	case "relativeCreated":
		return float64(r.Time.Sub(processStart).Microseconds()) / 1e3
	}
	return nil
}

func (l *layout) time(t time.Time) string {
	if l.date == "" {
		return t.Format("2006-01-02 15:04:05,000")
	}
	return strftime.Format(l.date, t)
}

func levelName(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return "DEBUG"
	case l < slog.LevelWarn:
		return "INFO"
	case l < slog.LevelError:
		return "WARNING"
	case l < Off:
		return "ERROR"
	}
	return "CRITICAL"
}

// levelNumber is the level as Python counts.
func levelNumber(l slog.Level) int {
	return map[string]int{"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}[levelName(l)]
}

// text is the message and its attributes on one line: what came from outside must
// not be able to begin a line of its own.
func text(r record) string {
	var b strings.Builder
	b.WriteString(oneLine.Replace(r.Message))
	for _, a := range r.attrs {
		b.WriteString(" " + a.Key + "=" + quoted(a.Value))
	}
	return b.String()
}

var oneLine = strings.NewReplacer("\n", `\n`, "\r", `\r`)

func quoted(v slog.Value) string {
	var s string
	switch v.Kind() {
	case slog.KindTime:
		s = v.Time().Format(time.RFC3339Nano)
	case slog.KindAny:
		switch x := v.Any().(type) {
		case interface{ MarshalText() ([]byte, error) }:
			data, err := x.MarshalText()
			if s = string(data); err != nil {
				s = fmt.Sprintf("%+v", x)
			}
		case error:
			s = x.Error()
		default:
			s = fmt.Sprintf("%+v", x)
		}
	default:
		s = v.String()
	}
	if s == "" || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == '=' || c == '"' || !strconv.IsPrint(c) }) {
		return strconv.Quote(s)
	}
	return s
}
