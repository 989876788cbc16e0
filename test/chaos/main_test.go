// Package chaos hurts whole clusters of real processes, each node in a network
// namespace of its own with an etcd beside it, while clients append to a list
// through every node at once; package history judges what they saw.
//
// TestShort is a fixed set of faults. TestLong draws them by lot for CHAOS_MINUTES;
// CHAOS_SEED repeats a series of faults (not their every instant: the processes
// are real). When it fails it tells the story, and keeps it with all logs in
// CHAOS_LOGS. TestNeedless loads the machine for NEEDLESS_MINUTES and looks
// for leader changes that nobody needed.
//
// Nodes differ in their boot clocks, by hours: what compared one machine's clock with
// another's would show. The wall clock is stepped only if CHAOS_CLOCK is set, since no
// namespace keeps that from the rest of the machine (TestClockSteps, and a sixth of
// TestLong's faults).
//
// E2E_KEEP and E2E_BINARY are as in test/e2e.
package chaos

import (
	"os"
	"testing"

	"matriarch/test/e2e/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }
