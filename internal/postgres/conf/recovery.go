package conf

import (
	"slices"
	"strings"
)

// recoveryNames are the settings of PostgreSQL 13 and later that say where a
// standby gets its log from and how far it goes (xlogrecovery.c). They live in a
// section of their own and never among the ordinary parameters.
var recoveryNames = []string{
	"archive_cleanup_command", "pause_at_recovery_target", "primary_conninfo", "primary_slot_name",
	"promote_trigger_file", "recovery_end_command", "recovery_min_apply_delay", "recovery_target",
	"recovery_target_action", "recovery_target_inclusive", "recovery_target_lsn", "recovery_target_name",
	"recovery_target_time", "recovery_target_timeline", "recovery_target_xid", "restore_command",
	"standby_mode", "trigger_file",
}

// IsRecovery reports whether a setting belongs to the recovery section.
func IsRecovery(name string) bool {
	return slices.Contains(recoveryNames, strings.ToLower(name))
}

// SanitizeAuto removes the recovery settings from the text of
// postgresql.auto.conf, which would otherwise beat the generated file. The
// second result says whether there were any.
func SanitizeAuto(text string) (string, bool) {
	var kept strings.Builder
	changed := false
	for line := range strings.Lines(text) {
		if s, ok := parseLine(line); ok && IsRecovery(s.Name) {
			changed = true
			continue
		}
		kept.WriteString(line)
	}
	return kept.String(), changed
}

// RecoverySection reads the recovery settings of a generated file back.
func RecoverySection(text string) map[string]string {
	section := map[string]string{}
	for _, s := range Parse(text) {
		if IsRecovery(s.Name) {
			section[s.Name] = s.Value
		}
	}
	return section
}

// StandbyRecovery gives the recovery settings of a standby: the user's own
// less what aims at a target or an upstream, then those that make it follow the
// newest timeline for ever. Empty targets guard against an included file. The
// conninfo and slot are left out when they are empty: nobody to follow.
func StandbyRecovery(user map[string]string, conninfo, slot string, major int) map[string]string {
	section := map[string]string{}
	for name, value := range user {
		name = strings.ToLower(name)
		if !keepInStandby(name, major) {
			continue
		}
		section[name] = value
	}
	section["recovery_target_timeline"] = "latest"
	for _, name := range []string{"", "_name", "_time", "_xid", "_lsn"} {
		section["recovery_target"+name] = ""
	}
	if conninfo != "" {
		section["primary_conninfo"] = conninfo
		if slot != "" {
			section["primary_slot_name"] = slot
		}
	}
	return section
}

// RestoreRecovery gives the recovery settings by which a backup is brought to where a
// new cluster begins: the user's own, but for those that this major does not know any
// more. The second result says that the server is to stay a standby until somebody
// promotes it.
func RestoreRecovery(user map[string]string, major int) (section map[string]string, standby bool) {
	section = map[string]string{}
	for name, value := range user {
		switch name = strings.ToLower(name); {
		case name == "standby_mode":
			standby, _ = ParseBool(value)
		case name == "pause_at_recovery_target":
			section["recovery_target_action"] = map[bool]string{true: "pause", false: "promote"}[pauses(value)]
		case name == "trigger_file", name == "promote_trigger_file":
			if major < 16 {
				section["promote_trigger_file"] = value
			}
		case IsRecovery(name):
			section[name] = value
		}
	}
	return section, standby
}

func pauses(value string) bool {
	pause, ok := ParseBool(value)
	return pause || !ok
}

// keepInStandby says whether the user's recovery setting stays. standby_mode
// became a file in 12, the trigger file's setting is gone since 16, and
// pause_at_recovery_target since 9.5.
func keepInStandby(name string, major int) bool {
	switch name {
	case "primary_conninfo", "primary_slot_name", "standby_mode", "trigger_file", "pause_at_recovery_target":
		return false
	case "promote_trigger_file":
		return major < 16
	}
	return IsRecovery(name) && !strings.HasPrefix(name, "recovery_target")
}
