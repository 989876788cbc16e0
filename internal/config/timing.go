package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Timing are the three intervals that belong together; they always satisfy
// loop_wait + 2 * retry_timeout <= ttl.
type Timing struct {
	TTL          time.Duration
	LoopWait     time.Duration
	RetryTimeout time.Duration
}

// The least seconds of each, and the least loop_wait that the rule leaves.
const (
	ttlMin          = 20
	loopWaitMin     = 1
	retryTimeoutMin = 3
)

// adjustTiming gives the dynamic document (the reader's root) with the timing
// adjusted as Patroni does, and the timing itself. First loop_wait gives way, then
// retry_timeout; ttl is never raised beyond its minimum. An error in the report
// means that the whole document is refused.
func (r reader) adjustTiming() (*Value, Timing) {
	doc := r.root
	if !doc.Is(KindMap) {
		doc = newMap(r.root.Position())
	}
	amounts := map[string]int64{}
	set := func(name string, n int64) {
		amounts[name] = n
		doc = doc.with(name, newInt(n, doc.Get(name).Position()))
	}
	for _, p := range []struct {
		name string
		def  int64
		min  int64
	}{{"loop_wait", 10, loopWaitMin}, {"retry_timeout", 10, retryTimeoutMin}, {"ttl", 30, ttlMin}} {
		amounts[p.name] = p.def
		v := doc.Get(p.name)
		if v.IsNull() {
			continue
		}
		n, ok := pythonInt(v)
		if !ok || n > secondsMax {
			r.report.add(Problem{At: v.At, Path: p.name, Severity: Error, Message: "is not a whole number of seconds",
				Validator: validatorLine(Key{}, v, p.name, "is not an integer")})
			continue
		}
		amounts[p.name] = n
		if n < p.min {
			r.report.add(Problem{At: v.At, Path: p.name, Message: fmt.Sprintf("is %d and can't be smaller than %d, which is used instead", n, p.min),
				Validator: validatorLine(Key{}, v, p.name, wrongValue)})
			set(p.name, p.min)
		}
	}
	r.keepRule(amounts, set)
	seconds := func(name string) time.Duration { return time.Duration(amounts[name]) * time.Second }
	return doc, Timing{TTL: seconds("ttl"), LoopWait: seconds("loop_wait"), RetryTimeout: seconds("retry_timeout")}
}

// keepRule lowers loop_wait, and retry_timeout if that is not enough.
func (r reader) keepRule(amounts map[string]int64, set func(string, int64)) {
	wait, retry, ttl := amounts["loop_wait"], amounts["retry_timeout"], amounts["ttl"]
	said := fmt.Sprintf("the rule loop_wait + 2*retry_timeout <= ttl does not hold (%d + 2*%d > %d): ", wait, retry, ttl)
	at := r.root.Position()
	for _, name := range []string{"ttl", "retry_timeout", "loop_wait"} {
		if v := r.root.Get(name); !v.IsNull() {
			at = v.At
		}
	}
	switch {
	case 1+2*retry > ttl:
		set("loop_wait", 1)
		set("retry_timeout", (ttl-1)/2)
		r.report.warn(at, "loop_wait", said+fmt.Sprintf("loop_wait 1 and retry_timeout %d are used instead", (ttl-1)/2))
	case wait+2*retry > ttl:
		set("loop_wait", ttl-2*retry)
		r.report.warn(at, "loop_wait", said+fmt.Sprintf("loop_wait %d is used instead", ttl-2*retry))
	}
}

// pythonInt converts as Python's int(): a number loses its fraction, a text must be
// digits alone.
func pythonInt(v *Value) (int64, bool) {
	switch v.Kind {
	case KindBool:
		return int64(b2i(v.flag)), true
	case KindInt:
		return v.Int()
	case KindFloat:
		if v.number > -1<<62 && v.number < 1<<62 {
			return int64(v.number), true
		}
	case KindString:
		n, err := strconv.ParseInt(strings.TrimSpace(v.text), 10, 64)
		return n, err == nil
	}
	return 0, false
}
