package config

import (
	"slices"
	"strings"
	"time"
)

// reader takes typed values out of a tree that was checked. What is missing or
// does not fit is the default of the table; the checker has told of it.
type reader struct {
	root   *Value
	report *Report
}

func (r reader) get(path string) *Value { return r.root.Get(strings.Split(path, ".")...) }

func keyOf(path string) Key {
	if n := keyTree().at(path); n != nil {
		return n.key
	}
	return Key{}
}

// text is a scalar as text. A choice is given in the spelling of the table.
func (r reader) text(path string) string {
	v, k := r.get(path), keyOf(path)
	if !v.IsScalar() {
		return k.Default
	}
	if len(k.Choices) == 0 {
		return v.Text()
	}
	for _, choice := range k.Choices {
		if choice == v.Text() || (k.AnyCase || v.Is(KindBool)) && strings.EqualFold(choice, v.Text()) {
			return choice
		}
	}
	return k.Default
}

func (r reader) secret(path string) Secret { return Secret(r.text(path)) }

func (r reader) truth(path string) bool { return r.get(path).Truth() }

// number is an integer. Below its minimum the minimum is used, as Patroni does.
func (r reader) number(path string) int64 {
	k := keyOf(path)
	n, ok := r.get(path).IntIn("")
	if !ok {
		n, _ = ParseInt(k.Default, "")
	}
	if k.Min != nil {
		n = max(n, *k.Min)
	}
	if k.Max != nil {
		n = min(n, *k.Max)
	}
	return n
}

// secondsMax keeps a number of seconds inside a time.Duration; it is PostgreSQL's
// own bound for settings.
const secondsMax = 1<<31 - 1

func (r reader) seconds(path string) time.Duration {
	return time.Duration(min(r.number(path), secondsMax)) * time.Second
}

// texts is a list of texts: nil if it is not given and has no default.
func (r reader) texts(path string) []string {
	v := r.get(path)
	if !v.Is(KindList) {
		if def := keyOf(path).Default; def != "" {
			return []string{def}
		}
		return nil
	}
	out := []string{}
	for _, item := range v.items {
		if item.Is(KindString) {
			out = append(out, item.text)
		}
	}
	return out
}

// hosts is a list of texts, or one text with commas.
func (r reader) hosts(path string) []string {
	v := r.get(path)
	if v.Is(KindList) {
		var out []string
		for _, item := range v.items {
			if item.IsScalar() {
				out = append(out, strings.TrimSpace(item.Text()))
			}
		}
		return out
	}
	var out []string
	for host := range strings.SplitSeq(v.Text(), ",") {
		if host = strings.TrimSpace(host); host != "" {
			out = append(out, host)
		}
	}
	return out
}

// values is a map of scalars as text; a null has no entry.
func (r reader) values(path string) map[string]string {
	out := map[string]string{}
	for _, f := range r.get(path).Fields() {
		if f.Value.IsScalar() {
			out[f.Name] = f.Value.Text()
		}
	}
	return out
}

// fault reports an error of the value at a path, or of its absence.
func (r reader) fault(path, message string) {
	r.report.add(Problem{At: r.position(path), Path: path, Severity: Error, Message: message,
		Validator: validatorLine(keyOf(path), r.get(path), path, "didn't pass validation: "+message)})
}

func (r reader) warn(path, message string) { r.report.warn(r.position(path), path, message) }

// position is that of the value, or of the nearest section around it.
func (r reader) position(path string) Position {
	names := strings.Split(path, ".")
	for n := len(names); n > 0; n-- {
		if v := r.root.Get(names[:n]...); !v.IsNull() {
			return v.At
		}
	}
	return r.root.Position()
}

// notLoopback reports an address that only this machine can reach.
func (r reader) notLoopback(path, host string) {
	names := []string{"127.0.0.1", "0.0.0.0", "*", "::1", "localhost"}
	if !slices.Contains(names, host) {
		return
	}
	v := r.get(path)
	r.report.add(Problem{At: v.Position(), Path: path, Message: "is " + host + ", which other nodes cannot reach",
		Validator: path + " " + v.Text() + ` didn't pass validation: must not contain "` + strings.Join(names, `", "`) + `"`})
}
