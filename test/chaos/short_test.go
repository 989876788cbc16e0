package chaos

import (
	"syscall"
	"testing"
	"time"
)

// short is what every run of the tests deals: each way in which two primaries were
// ever seen, and each in which a failover was that nobody needed.
var short = []fault{
	switchFault,
	terminateFault,
	restartFault.during(time.Second),
	cutFault("peers", bothWays).during(3 * time.Second).keeping(),
	cutFault("etcd", bothWays).during(3 * time.Second).keeping(),
	processFault(signals{postmaster: syscall.SIGKILL}).during(time.Second),
	processFault(signals{guard: syscall.SIGKILL}).during(time.Second),
	processFault(signals{guard: syscall.SIGSTOP}).during(3 * time.Second),
	processFault(signals{agent: syscall.SIGSTOP}).during(time.Second).taking(),
	processFault(signals{syscall.SIGSTOP, syscall.SIGSTOP, syscall.SIGSTOP}).during(time.Second).onStandby(1),
	cutFault("all", hears).during(2 * time.Second).taking(),
	cableFault.during(time.Second).taking(),
	crashFault.during(time.Second).taking(),
	etcdAway.during(10 * time.Second),
}

// TestShort deals a fixed set of faults.
func TestShort(t *testing.T) {
	if testing.Short() {
		t.Skip("whole clusters take a minute")
	}
	f := newField(t)
	var names []string
	var results []result
	for _, x := range short {
		names, results = append(names, x.name), append(results, f.deal(x))
	}
	t.Log(f.finish())
	t.Log(table(names, results))
}
