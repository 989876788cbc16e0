package config

import (
	"strings"
	"time"
)

// oldNames are earlier names of dynamic keys: the new name wins, even if its value
// is invalid.
var oldNames = map[string]string{"master_start_timeout": "primary_start_timeout", "master_stop_timeout": "primary_stop_timeout"}

// shared explains the keys of the dynamic configuration that are not below
// postgresql, and postgresql.use_slots.
func (x *explainer) shared() {
	for _, k := range dynamicKeys {
		switch {
		case k.Path == "postgresql" || k.Type == TypeSection:
			continue
		case oldNames[k.Path] != "" || strings.HasPrefix(k.Path, "permanent_"):
			continue // told under the key's own name
		}
		x.sharedKey(k)
	}
}

func (x *explainer) sharedKey(k Key) {
	names := strings.Split(k.Path, ".")
	v := x.doc.Get(names...)
	s := Setting{Key: k.Path, Apply: Apply{How: byEdit}, Value: Masked(k.Path, v), From: x.sharedOrigin(v)}
	for old, now := range oldNames {
		if given := x.doc.Get(old); now == k.Path && !given.IsNull() {
			if v.IsNull() {
				v, s.Value, s.From = given, Masked(old, given), x.sharedOrigin(given)
				s.Others = append(s.Others, Other{Masked(old, given), s.From, "written under its old name " + old})
			} else {
				s.Others = append(s.Others, Other{Masked(old, given), x.sharedOrigin(given), "the old name " + old + " does not count beside " + now})
			}
		}
	}
	if k.Path == "slots" {
		v = x.slots(&s)
	}
	if v.IsNull() {
		s.Value, s.From = nil, Origin{Layer: LayerNone}
		if k.Default != "" && !strings.HasPrefix(k.Path, "standby_cluster.") {
			s.Value, s.From = defaultValue(k), Origin{Layer: LayerDefault}
		}
	}
	x.judged(k, v, &s)
	x.elsewhere(k, names, &s)
	if s.Value == nil && len(s.Others) == 0 {
		return
	}
	x.add(s)
}

// slots finds the first section of slots that is not empty.
func (x *explainer) slots(s *Setting) (found *Value) {
	for _, name := range []string{"permanent_replication_slots", "permanent_slots", "slots"} {
		v := x.doc.Get(name)
		if len(v.Fields()) == 0 {
			continue
		}
		if found == nil {
			found, s.Value, s.From = v, Masked(name, v), x.sharedOrigin(v)
			continue
		}
		s.Others = append(s.Others, Other{Masked(name, v), x.sharedOrigin(v), "an older name of the section is given too, and counts"})
	}
	return found
}

// judged replaces a value by the one that the rules leave.
func (x *explainer) judged(k Key, v *Value, s *Setting) {
	given := Other{s.Value, s.From, ""}
	timing := map[string]time.Duration{"ttl": x.effective.TTL, "loop_wait": x.effective.LoopWait, "retry_timeout": x.effective.RetryTimeout}
	if length, is := timing[k.Path]; is {
		seconds := int64(length / time.Second)
		n, ok := pythonInt0(v)
		switch {
		case v.IsNull() && s.Value == any(seconds), ok && n == seconds:
			return
		case !v.IsNull() && !ok:
			given.Why = "it is not a whole number: the nodes refuse the whole document"
		default:
			given.Why = "the least values and the rule loop_wait + 2*retry_timeout <= ttl"
		}
		s.Value, s.From = seconds, Origin{Layer: LayerAdjusted}
		s.Others = append([]Other{given}, s.Others...)
		return
	}
	if v.IsNull() {
		return
	}
	report := &Report{}
	(&checker{report: report}).value(&keyNode{key: k}, v, v.At, k.Path)
	if len(report.Problems) == 0 || k.Type == TypeMap || k.Type == TypeAny {
		return
	}
	given.Why = report.Problems[0].Message
	s.Value, s.From = defaultValue(k), Origin{Layer: LayerDefault}
	if k.Default == "" {
		s.Value, s.From = nil, Origin{Layer: LayerNone}
	}
	s.Others = append([]Other{given}, s.Others...)
}

func pythonInt0(v *Value) (int64, bool) {
	if v.IsNull() {
		return 0, false
	}
	return pythonInt(v)
}

// elsewhere adds the values of the node's own file that look like this key's and do
// not count: those outside bootstrap.dcs, and those inside it once a cluster lives.
func (x *explainer) elsewhere(k Key, names []string, s *Setting) {
	if own := x.root.Get(names...); !own.IsNull() {
		s.Others = append(s.Others, Other{Masked(k.Path, own), origin(own), whySharedOnly})
	}
	first := x.root.Get(append([]string{"bootstrap", "dcs"}, names...)...)
	if x.dynamic.FromBootstrap || first.IsNull() || Same(first, x.doc.Get(names...)) {
		return
	}
	s.Others = append(s.Others, Other{Masked(k.Path, first), origin(first), whyAtBirth})
}
