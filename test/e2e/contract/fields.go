package contract

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Fields are the parts of an answer, by name.
type Fields map[string]string

// Whose tells the words apart that are of one node only. Both are replaced before two
// answers are compared.
type Whose struct {
	Self  []string // names and addresses of the node that was asked
	Peers []string // those of all others
}

func (w Whose) neutral(text string) string {
	for i, list := range [][]string{w.Self, w.Peers} {
		for _, word := range list {
			text = regexp.MustCompile(`\b`+regexp.QuoteMeta(word)+`\b`).ReplaceAllString(text, []string{"SELF", "PEER"}[i])
		}
	}
	return text
}

// Fields takes an answer apart.
func (a Answer) Fields(w Whose) Fields {
	f := Fields{"code": fmt.Sprint(a.Code)}
	for name, values := range a.Header {
		f["header "+name] = strings.Join(values, ", ")
	}
	for _, changing := range []string{"Date", "Content-Length", "Server", "Lsn"} {
		if _, there := f["header "+changing]; there {
			f["header "+changing] = "some"
		}
	}
	switch kind := a.Header.Get("Content-Type"); {
	case kind == "application/json":
		var doc any
		if err := json.Unmarshal([]byte(a.Body), &doc); err != nil {
			f["body"] = "no JSON: " + err.Error()
			break
		}
		f.document("", doc, w)
	case kind == "text/plain":
		f.metrics(a.Body, w)
	case strings.HasPrefix(kind, "text/html;"): // a page, whose wording is free but for what patronictl looks for
		f["page, not supported"] = fmt.Sprint(strings.Contains(a.Body, "Server does not support this operation"))
	default:
		f["body"] = w.neutral(a.Body)
	}
	return f
}

func (f Fields) document(path string, v any, w Whose) {
	switch v := v.(type) {
	case map[string]any:
		f["body"+path] = "object"
		for name, inner := range v {
			f.document(path+"."+w.neutral(name), inner, w)
		}
	case []any:
		f["body"+path] = fmt.Sprintf("list of %d", len(v))
		if strings.HasSuffix(path, ".replication") { // in no order of its own
			v = slices.Clone(v)
			slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
		for i, inner := range v {
			f.document(fmt.Sprintf("%s[%d]", path, i), inner, w)
		}
	default:
		f["body"+path] = fmt.Sprintf("%T %s", v, w.neutral(fmt.Sprint(v)))
		if name := path[strings.LastIndex(path, ".")+1:]; moving[name] {
			f["body"+path] = fmt.Sprintf("%T like %s", v, shape(fmt.Sprint(v)))
			if _, number := v.(float64); number {
				f["body"+path] = "a number"
			}
		}
	}
}

// moving are the values that differ between two instants: their type and form count.
var moving = map[string]bool{
	"postmaster_start_time": true, "replayed_timestamp": true, "dcs_last_seen": true, "timeline": true,
	"location": true, "received_location": true, "replayed_location": true,
	"lsn": true, "receive_lsn": true, "replay_lsn": true,
	"lag": true, "receive_lag": true, "replay_lag": true,
	"patroni_postmaster_start_time": true, "patroni_xlog_location": true, "patroni_xlog_received_location": true,
	"patroni_xlog_replayed_location": true, "patroni_xlog_replayed_timestamp": true, "patroni_dcs_last_seen": true, "patroni_postgres_timeline": true,
}

var (
	digits = regexp.MustCompile(`[0-9]+`)
	hex    = regexp.MustCompile(`^[0-9A-F]+/[0-9A-F]+$`)
	float  = regexp.MustCompile(`^[0-9.]+(e\+[0-9]+)?$`)
)

// shape is a value's form.
func shape(v string) string {
	switch {
	case v == "0" || v == "<nil>":
		return v
	case hex.MatchString(v):
		return "X/X"
	case float.MatchString(v):
		return "a number"
	}
	return digits.ReplaceAllString(v, "9")
}

var sample = regexp.MustCompile(`^([a-z_]+)\{(.*)\} (\S+)$`)

// metrics are compared by name, type, labels and value, and in their order.
func (f Fields) metrics(text string, w Whose) {
	var order []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if words := strings.Fields(line); len(words) == 4 && words[1] == "TYPE" {
			f["metric "+words[2]+" type"] = words[3]
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil {
			if !strings.HasPrefix(line, "#") {
				f["metric line "+w.neutral(line)] = "of no known form"
			}
			continue
		}
		name, labels, value := m[1], w.neutral(m[2]), m[3]
		f["metric "+name+" labels"] = labels
		f["metric "+name+" value"] = value
		if moving[name] {
			f["metric "+name+" value"] = shape(value)
		}
		if strings.HasPrefix(name, "patroni_") {
			order = append(order, name)
		}
	}
	f["metrics, number"] = fmt.Sprint(len(order))
}
