package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is the config key: the dynamic configuration, the same for all members.
type Config struct {
	Valid    bool // a JSON object that is not empty
	Document map[string]any
	Modified int64 // 0: the key is absent
}

func parseConfig(e Entry, faults *[]string) Config {
	c := Config{Modified: e.Modified}
	if len(e.Data) == 0 {
		return c
	}
	if decode(e.Data, &c.Document) != nil || c.Document == nil {
		c.Document = nil
		*faults = append(*faults, "config is not a JSON object; the last good configuration stays in force")
		return c
	}
	c.Valid = len(c.Document) > 0
	return c
}

// Settings are the values of the dynamic configuration that decisions need, with
// defaults filled in and timings brought into range.
type Settings struct {
	TTL          time.Duration // life of the leader key
	LoopWait     time.Duration // longest pause between two passes
	RetryTimeout time.Duration // budget of one operation on the store

	// Permit is how long a primary may write without a word from the other members
	// or the store. Patroni ignores the key.
	Permit time.Duration

	MaximumLagOnFailover int64 // bytes
	MaxTimelinesHistory  int   // 0: keep all
	PrimaryStartTimeout  time.Duration
	PrimaryStopTimeout   time.Duration // 0: no limit
	MemberSlotsTTL       time.Duration
	CheckTimeline        bool
	Failsafe             bool
	Pause                bool
	Synchronous          string // "", "on" or "quorum"
	SynchronousStrict    bool   // rather no commits than commits without a standby
	SynchronousNodes     int    // how many standbys a commit should wait for
	MaximumLagOnSyncnode int64  // bytes behind the best one; 0 or less: no limit
	UseSlots             bool
	StandbyCluster       bool // this cluster follows another one

	Permanent []PermanentSlot // sorted by name
	Ignore    []IgnoreSlot    // slots that are left alone
}

// GiveUp is how long a server whose right to write has ended stands still, for the
// right may come back and its connections with it. Then it is started again for readers.
// In failsafe mode that is as long as a leader of Patroni's takes for a store that does
// not answer and a member that does not accept (B-086, B-547).
func (s Settings) GiveUp() time.Duration {
	if s.Failsafe {
		return min(s.TTL, s.LoopWait+s.RetryTimeout)
	}
	return s.TTL
}

// DefaultSettings are Patroni's (compat/config.md §3.2).
func DefaultSettings() Settings {
	return Settings{
		TTL: 30 * time.Second, LoopWait: 10 * time.Second, RetryTimeout: 10 * time.Second, Permit: time.Second,
		MaximumLagOnFailover: 1048576, PrimaryStartTimeout: 300 * time.Second,
		MemberSlotsTTL: 1800 * time.Second, UseSlots: true, SynchronousNodes: 1, MaximumLagOnSyncnode: -1,
	}
}

// The least values that are accepted, in seconds (compat/config.md §3.1).
const (
	minTTL          = 20
	minLoopWait     = 1
	minRetryTimeout = 3
)

// ReadSettings reads a dynamic configuration. Notes tell what was corrected. The
// error names a value that cannot be used at all; then the whole document is
// refused and the settings in force stay.
func ReadSettings(doc map[string]any) (s Settings, notes []string, err error) {
	s = DefaultSettings()
	ttl, loop, retry := 30, 10, 10
	for name, target := range map[string]*int{"ttl": &ttl, "loop_wait": &loop, "retry_timeout": &retry} {
		if v, ok := doc[name]; ok && v != nil {
			if *target, err = seconds(v); err != nil {
				return Settings{}, nil, fmt.Errorf("read %s from the dynamic configuration: %w", name, err)
			}
		}
	}
	if pg, ok := doc["postgresql"].(map[string]any); ok {
		if p, ok := pg["parameters"]; ok && p != nil {
			if _, isMap := p.(map[string]any); !isMap {
				return Settings{}, nil, fmt.Errorf("read postgresql.parameters from the dynamic configuration: it is not a dictionary")
			}
		}
		if v, ok := pg["use_slots"]; ok {
			s.UseSlots = Truth(v)
		}
	}
	ttl, loop, retry, notes = clampTimings(ttl, loop, retry)
	s.TTL, s.LoopWait, s.RetryTimeout = time.Duration(ttl)*time.Second, time.Duration(loop)*time.Second, time.Duration(retry)*time.Second
	if note := readPermit(doc["permit"], s.TTL, &s.Permit); note != "" {
		notes = append(notes, note)
	}

	readInt64(doc, &s.MaximumLagOnFailover, "maximum_lag_on_failover")
	readInt(doc, &s.MaxTimelinesHistory, "max_timelines_history")
	readSeconds(doc, &s.PrimaryStartTimeout, "primary_start_timeout", "master_start_timeout")
	readSeconds(doc, &s.PrimaryStopTimeout, "primary_stop_timeout", "master_stop_timeout")
	readUnits(doc, &s.MemberSlotsTTL, "member_slots_ttl")
	s.CheckTimeline, s.Failsafe, s.Pause = Truth(doc["check_timeline"]), Truth(doc["failsafe_mode"]), Truth(doc["pause"])
	s.StandbyCluster = standbyCluster(doc["standby_cluster"])
	permanent, passedOver := permanentSlots(doc)
	s.Permanent, s.Ignore = permanent, ignoreSlots(doc["ignore_slots"])
	notes = append(notes, passedOver...)
	if s.StandbyCluster { // nobody commits here: synchronous_mode has no meaning
		return s, notes, nil
	}
	if mode := strings.ToLower(fmt.Sprint(doc["synchronous_mode"])); mode == "quorum" {
		s.Synchronous = mode
	} else if Truth(doc["synchronous_mode"]) {
		s.Synchronous = "on"
	}
	s.SynchronousStrict = Truth(doc["synchronous_mode_strict"])
	readInt(doc, &s.SynchronousNodes, "synchronous_node_count")
	readInt64(doc, &s.MaximumLagOnSyncnode, "maximum_lag_on_syncnode")
	least := 0
	if s.SynchronousStrict {
		least = 1
	}
	s.SynchronousNodes = max(s.SynchronousNodes, least)
	return s, notes, nil
}

// clampTimings keeps loop_wait + 2*retry_timeout <= ttl by the rule that every
// member must apply alike (compat/config.md §3.1). Values are in seconds.
func clampTimings(ttl, loop, retry int) (int, int, int, []string) {
	var notes []string
	atLeast := func(name string, v *int, least int) {
		if *v < least {
			notes = append(notes, fmt.Sprintf("%s=%d can't be smaller than %d, adjusting", name, *v, least))
			*v = least
		}
	}
	atLeast("loop_wait", &loop, minLoopWait)
	atLeast("retry_timeout", &retry, minRetryTimeout)
	atLeast("ttl", &ttl, minTTL)
	switch {
	case minLoopWait+2*retry > ttl:
		loop, retry = minLoopWait, (ttl-1)/2
		notes = append(notes, fmt.Sprintf("loop_wait + 2*retry_timeout is more than ttl=%d: using loop_wait=%d and retry_timeout=%d", ttl, loop, retry))
	case loop+2*retry > ttl:
		loop = ttl - 2*retry
		notes = append(notes, fmt.Sprintf("loop_wait + 2*retry_timeout is more than ttl=%d: using loop_wait=%d", ttl, loop))
	}
	return ttl, loop, retry, notes
}

// Adjusted returns the document with its timings replaced by those in force, as
// it is written when a cluster is created.
func Adjusted(doc map[string]any, s Settings) map[string]any {
	out := maps.Clone(doc)
	if out == nil {
		out = map[string]any{}
	}
	for name, v := range map[string]time.Duration{"ttl": s.TTL, "loop_wait": s.LoopWait, "retry_timeout": s.RetryTimeout} {
		if _, ok := out[name]; ok {
			out[name] = int(v / time.Second)
		}
	}
	return out
}

// seconds is the plain integer conversion of the three timings: text without a
// fraction or a unit, or a number, whose fraction is dropped.
func seconds(v any) (int, error) {
	if text, ok := v.(string); ok {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return 0, fmt.Errorf("%q is not a whole number of seconds", text)
		}
		return n, nil
	}
	if f, err := strconv.ParseFloat(fmt.Sprint(v), 64); err == nil && f > -1e9 && f < 1e9 {
		return int(f), nil
	}
	return 0, fmt.Errorf("%v is not a whole number of seconds", v)
}

// MinPermit is the shortest permit: below it the least margin would be too great a
// part of it (package permit).
const MinPermit = 300 * time.Millisecond

// readPermit reads the length of the permit: seconds with a fraction, or with a
// unit. It lies between MinPermit and a third of the ttl. A value that cannot be
// read leaves the default, for every member must come to the same length.
func readPermit(v any, ttl time.Duration, target *time.Duration) (note string) {
	if v == nil {
		return ""
	}
	length, ok := TimeWithUnit(v)
	if !ok {
		return fmt.Sprintf("permit=%v is not a time, using %v", v, *target)
	}
	length = length.Round(time.Millisecond)
	*target = min(max(length, MinPermit), ttl/3)
	if *target != length {
		return fmt.Sprintf("permit=%v is not between %v and a third of ttl=%v, using %v", length, MinPermit, ttl, *target)
	}
	return ""
}

func readInt64(doc map[string]any, target *int64, name string) {
	if n, ok := integer(doc[name]); ok {
		*target = n
	}
}

func readInt(doc map[string]any, target *int, name string) {
	if n, ok := Int(doc[name]); ok {
		*target = n
	}
}

// readSeconds reads the first of the names that is present, even if what it holds
// is no number: the old name is then ignored all the same.
func readSeconds(doc map[string]any, target *time.Duration, names ...string) {
	for _, name := range names {
		v, ok := doc[name]
		if !ok {
			continue
		}
		if n, ok := Int(v); ok {
			*target = time.Duration(max(0, n)) * time.Second
		}
		return
	}
}

// readUnits reads a time that may carry a unit of PostgreSQL's, in seconds
// without one.
func readUnits(doc map[string]any, target *time.Duration, name string) {
	v, ok := doc[name]
	if !ok {
		return
	}
	if d, ok := TimeWithUnit(v); ok {
		*target = d.Round(time.Second)
	}
}

// TimeWithUnit reads a time as PostgreSQL's parameters have it; seconds without a
// unit.
func TimeWithUnit(v any) (time.Duration, bool) {
	text := strings.TrimSpace(fmt.Sprint(v))
	unit := time.Second
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"ms", time.Millisecond}, {"us", time.Microsecond}, {"min", time.Minute}, {"s", time.Second}, {"h", time.Hour}, {"d", 24 * time.Hour}} {
		if rest, found := strings.CutSuffix(text, u.name); found {
			text, unit = strings.TrimSpace(rest), u.unit
			break
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f >= 0 && f < 1e9/unit.Seconds()) { // NaN is neither
		return 0, false
	}
	return time.Duration(f * float64(unit)), true
}

func standbyCluster(v any) bool {
	m, ok := v.(map[string]any)
	return ok && slices.ContainsFunc([]string{"host", "port", "restore_command"}, func(k string) bool { return rawTruth(m[k]) })
}
