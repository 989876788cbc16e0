package postgres

import "testing"

// willSyncQuickly is what a rewind left for the start after it. Where others write to the
// file system that differs from time to time.
func (n *node) willSyncQuickly() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.synced
}

// syncedQuickly holds of a server that was started right after a rewind; and after the next
// start it does not any more.
func (n *node) syncedQuickly(quick bool) {
	n.t.Helper()
	if major, err := n.binaryMajor(within(n.t)); err != nil || major < 14 {
		return
	}
	method := "fsync"
	if quick {
		method = "syncfs"
	}
	n.wantSQL("show "+initSyncMethod, method)
	n.must(n.Stop(within(n.t), StopOptions{Mode: Fast}))
	n.must(n.StartStandby(within(n.t), n.upstreamNow()))
	n.must(n.WaitReady(within(n.t)))
	n.wantSQL("show "+initSyncMethod, "fsync")
}

// upstreamNow is whom the server was told to follow last.
func (n *node) upstreamNow() Upstream {
	n.mu.Lock()
	defer n.mu.Unlock()
	return *n.upstream
}

func TestOnlyWhatWasJustSyncedStartsWithSyncfs(t *testing.T) {
	n := newNode(t, "n1")
	if major, err := n.binaryMajor(within(t)); err != nil || major < 14 {
		t.Skipf("PostgreSQL %d: %v", major, err)
	}
	chosen := n.cfg()
	chosen.Parameters = map[string]string{"Recovery_Init_Sync_Method": "fsync"}
	for _, c := range []struct {
		name   string
		synced bool
		cfg    Config
		want   int
	}{
		{"nothing was synced", false, n.cfg(), 0},
		{"all was", true, n.cfg(), 1},
		{"the configuration says how", true, chosen, 0},
	} {
		n.setDurable(c.synced)
		if got := n.quickSync(within(t), c.cfg); len(got) != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if got := n.quickSync(within(t), n.cfg()); len(got) != 0 {
			t.Errorf("%s: it holds for one start, not for the next: %v", c.name, got)
		}
	}
	n.setDurable(true)
	n.must(n.begin(WorkRewind, "n2"))
	if got := n.quickSync(within(t), n.cfg()); len(got) != 0 {
		t.Errorf("what a new work writes is not synced: %v", got)
	}
}

func TestSyncfsOfWhatIsNotThereIsNoPromise(t *testing.T) {
	n := newNode(t, "n1")
	if n.syncfsIsQuick([]string{n.cfg().DataDir + "/absent"}) {
		t.Error("an error was taken for a success")
	}
	n.wait.Wait()
}

func TestKernelVersion(t *testing.T) {
	for release, want := range map[string][2]int{"6.1.0-13-amd64": {6, 1}, "5.8": {5, 8}, "4.19.0": {4, 19}, "5.15-generic": {5, 15}, "": {}, "x6.1": {}} {
		if major, minor := kernelVersion(release); [2]int{major, minor} != want {
			t.Errorf("%q: %d.%d", release, major, minor)
		}
	}
}
