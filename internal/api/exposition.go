package api

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// Kind is what a metric may do: a gauge goes up and down, a counter only up.
type Kind string

// The kinds of Prometheus that are used here.
const (
	Gauge         Kind = "gauge"
	Counter       Kind = "counter"
	HistogramKind Kind = "histogram"
)

// Metric is one metric with its samples.
type Metric struct {
	Name    string
	Help    string
	Kind    Kind
	Samples []Sample
}

// Sample is one value, told from the others of its metric by its labels. Scope and
// name of the node are added where it is printed.
type Sample struct {
	Labels    []Label
	Value     float64
	Histogram *Histogram // for a HistogramKind, in place of Value

	text string // the value as it is to be printed, where a float64 would round it
}

// Label is a name and a value.
type Label struct{ Name, Value string }

// PrintMetrics prints metrics in Prometheus' text format. Each sample gets the labels
// first, and then its own.
func PrintMetrics(labels []Label, metrics ...Metric) []byte {
	e := exposition{base: labels}
	for _, m := range metrics {
		e.metric(m)
	}
	return e.Bytes()
}

// exposition prints metrics in Prometheus' text format.
type exposition struct {
	bytes.Buffer
	base []Label
}

func (e *exposition) metric(m Metric) {
	e.head(m, "")
	for _, s := range m.Samples {
		switch {
		case s.Histogram != nil:
			e.histogram(m.Name, s)
		case s.text != "":
			e.sample(m.Name, s.Labels, s.text)
		default:
			e.sample(m.Name, s.Labels, strconv.FormatFloat(s.Value, 'f', -1, 64))
		}
	}
}

// head prints what comes before the samples; the comment may be empty.
func (e *exposition) head(m Metric, comment string) {
	e.WriteString("# HELP " + m.Name + " " + helpText.Replace(m.Help) + "\n")
	if comment != "" {
		e.WriteString("# " + comment + "\n")
	}
	e.WriteString("# TYPE " + m.Name + " " + string(m.Kind) + "\n")
}

var (
	helpText  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelText = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func (e *exposition) sample(name string, labels []Label, value string) {
	e.WriteString(name)
	e.WriteByte('{')
	for i, l := range append(e.base[:len(e.base):len(e.base)], labels...) {
		if i > 0 {
			e.WriteByte(',')
		}
		e.WriteString(l.Name + `="` + labelText.Replace(l.Value) + `"`)
	}
	e.WriteString("} " + value + "\n")
}

func (e *exposition) histogram(name string, s Sample) {
	limits, counts, sum := s.Histogram.read()
	var total uint64
	for i, n := range counts {
		total += n
		limit := "+Inf"
		if i < len(limits) {
			limit = strconv.FormatFloat(limits[i].Seconds(), 'f', -1, 64)
		}
		labels := append(s.Labels[:len(s.Labels):len(s.Labels)], Label{"le", limit})
		e.sample(name+"_bucket", labels, strconv.FormatUint(total, 10))
	}
	e.sample(name+"_sum", s.Labels, strconv.FormatFloat(sum.Seconds(), 'f', -1, 64))
	e.sample(name+"_count", s.Labels, strconv.FormatUint(total, 10))
}

// unixSeconds prints a time with as many as six decimals; 0 for none.
func unixSeconds(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	micros := t.UnixMicro()
	text := strconv.FormatInt(micros/1e6, 10)
	if rest := micros % 1e6; rest > 0 { // before 1970 nothing was running
		text += "." + strings.TrimRight(strconv.FormatInt(1e6+rest, 10)[1:], "0")
	}
	return text
}
