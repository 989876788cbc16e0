package config

import (
	"fmt"
)

// Tags are the properties of a member, as written; what they mean is package
// cluster's.
type Tags map[string]any

func (r reader) readTags() Tags {
	r.tagConflict("nofailover", "failover_priority")
	r.tagConflict("nosync", "sync_priority")
	return r.get("tags").JSONMap()
}

// tagConflict warns where a switch and a priority are both given. The switch wins.
func (r reader) tagConflict(name, priority string) {
	flag, number := r.get("tags."+name), r.get("tags."+priority)
	if flag.IsNull() || number.IsNull() {
		return
	}
	p := Problem{At: number.At, Path: "tags", Message: fmt.Sprintf("have both %s and %s", name, priority),
		Validator: fmt.Sprintf("tags  Multiple of ('%s', '%s') provided", name, priority)}
	if n, ok := number.IntIn(""); ok && flag.Truth() != (n <= 0) {
		// Patroni's words, for those who look for them.
		p.Message = fmt.Sprintf("contradict each other: Conflicting configuration between %s: %s and %s: %s. Defaulting to %s: %s",
			name, flag.Text(), priority, number.Text(), name, flag.Text())
	}
	r.report.add(p)
}
