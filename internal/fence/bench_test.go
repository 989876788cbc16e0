package fence

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"matriarch/internal/boottime"
)

// BenchmarkFreeze has a deadline pass over a server and tells how late the freeze
// began and when every process was seen stopped, both after the deadline: the median,
// the 99th percentile and the worst. Run it as root for the freezer, as another user
// for signals:
//
//	go test -run '^$' -bench Freeze -benchtime 500x ./internal/fence
func BenchmarkFreeze(b *testing.B) {
	const waiting = `i=0; while [ $i -lt 99 ]; do sleep 1000 & i=$((i+1)); done; wait`
	for _, c := range []struct {
		name, server string
		processes    int
		others       int // busy processes that are not the server's
	}{
		{"100 wait", waiting, 100, 0},
		{"100 busy", busy(99), 100, 0},
		{"100 wait, 100 others busy", waiting, 100, 100},
		{"20 busy, 100 others busy", busy(19), 20, 100},
	} {
		b.Run(c.name, func(b *testing.B) {
			n := newNode(b, time.Minute)
			n.crowd(c.others)
			n.shell(c.server, false, 0)
			n.awaitProcesses(c.processes)
			if err := n.Arm(limited(b), 0); err != nil {
				b.Fatal(err)
			}
			n.event(WasFrozen)
			var begun, done []time.Duration
			for b.Loop() {
				n.renew(20 * time.Millisecond)
				e := n.event(WasFrozen)
				begun, done = append(begun, e.Late), append(done, e.Late+e.Took)
			}
			report(b, "begun", begun)
			report(b, "done", done)
		})
	}
}

// crowd keeps the processors busy with processes that have nothing to do with the
// server, at a nice value of 0.
func (n *node) crowd(processes int) {
	for range processes {
		other := exec.Command("/bin/sh", "-c", "while :; do :; done")
		if err := other.Start(); err != nil {
			n.t.Fatal(err)
		}
		n.t.Cleanup(func() {
			if err := other.Process.Kill(); err != nil {
				n.t.Error(err)
			}
			_ = other.Wait() // killed
		})
	}
}

func report(b *testing.B, what string, times []time.Duration) {
	slices.Sort(times)
	for _, part := range []struct {
		name string
		at   int
	}{{"p50", len(times) / 2}, {"p99", len(times) * 99 / 100}, {"max", len(times) - 1}} {
		b.ReportMetric(float64(times[part.at].Microseconds()), what+"-"+part.name+"-µs")
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
