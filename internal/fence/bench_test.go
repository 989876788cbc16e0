package fence

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"matriarch/internal/boottime"
)

// BenchmarkFreeze has a deadline pass over a server of 100 processes, all running
// or all waiting, and tells how late the freeze began and how long it took until every process
// was seen stopped. Run it as root for the freezer, as another user for signals:
//
//	go test -run '^$' -bench Freeze ./internal/fence
func BenchmarkFreeze(b *testing.B) {
	for name, script := range map[string]string{
		"busy": busy(99),
		"idle": `i=0; while [ $i -lt 99 ]; do sleep 1000 & i=$((i+1)); done; wait`,
	} {
		b.Run(name, func(b *testing.B) {
			n := newNode(b, time.Minute)
			n.shell(script, false, 0)
			n.awaitProcesses(100)
			if err := n.Arm(limited(b), 0); err != nil {
				b.Fatal(err)
			}
			n.event(WasFrozen)
			var late, took, worst time.Duration
			rounds := 0
			for b.Loop() {
				n.renew(20 * time.Millisecond)
				e := n.event(WasFrozen)
				late, took, rounds = late+e.Late, took+e.Took, rounds+1
				worst = max(worst, e.Late+e.Took)
			}
			b.ReportMetric(float64(late.Microseconds())/float64(rounds), "µs-late/op")
			b.ReportMetric(float64(took.Microseconds())/float64(rounds), "µs-freezing/op")
			b.ReportMetric(float64(worst.Microseconds()), "µs-worst")
		})
	}
}

// renew gives the frozen server a permit that ends after d. On a machine that is so
// busy that the guard hears of it too late, it does so again.
func (n *node) renew(d time.Duration) {
	n.t.Helper()
	again := time.NewTicker(2 * d)
	defer again.Stop()
	end := time.After(patience)
	for {
		if err := n.Extend(boottime.Now().Add(d)); err != nil {
			n.t.Fatal(err)
		}
		select {
		case e := <-n.Events():
			if e.Kind == WasThawed {
				return
			}
		case <-again.C:
		case <-end:
			n.t.Fatal("no thaw")
		}
	}
}

// BenchmarkStart starts a guard and ends it, and tells what it holds in memory.
func BenchmarkStart(b *testing.B) {
	var status string
	for b.Loop() {
		n := newNode(b, time.Minute)
		text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(n.Found().GuardPID), "status"))
		if err != nil {
			b.Fatal(err)
		}
		status = string(text)
		b.StopTimer()
		n.end()
		b.StartTimer()
	}
	for line := range strings.SplitSeq(status, "\n") {
		for _, name := range []string{"VmRSS", "RssAnon", "RssFile"} {
			var kilobytes float64
			if _, err := fmt.Sscanf(line, name+": %f kB", &kilobytes); err == nil {
				b.ReportMetric(kilobytes, name+"-kB")
			}
		}
	}
}
