package wire

import (
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	"matriarch/internal/permit"
)

// BenchmarkRoundTrip is the time from Send to Acked, at a pace at which all
// goroutines have gone to sleep in between, as with real heartbeats: on an idle
// machine, and with two processes per core that compute without end.
//
//	go test -run - -bench RoundTrip -benchtime 500x ./internal/permit/wire
func BenchmarkRoundTrip(b *testing.B) {
	for _, secure := range []bool{false, true} {
		for _, busy := range []bool{false, true} {
			b.Run(fmt.Sprintf("tls=%v/busy=%v", secure, busy), func(b *testing.B) { roundTrip(b, secure, busy) })
		}
	}
}

func roundTrip(b *testing.B, secure, busy bool) {
	m := newMember("n2")
	if secure {
		m.server.StartTLS()
	} else {
		m.server.Start()
	}
	defer m.stop()
	o := options()
	if secure {
		o.TLS = trust(m.server)
	}
	acks := make(chan permit.Ack, 1)
	l := NewLinks(o, Handlers{Acked: func(a permit.Ack) { acks <- a }, Closed: func(string) { b.Error("the connection broke") }}, nil)
	defer l.Close()
	if busy {
		load(b)
	}
	hb := permit.Heartbeat{Leader: "n1", Term: 7, Permit: time.Minute}
	trip := func() time.Duration {
		hb.Sequence++
		start := time.Now()
		l.Send("n2", m.server.URL, hb)
		<-acks
		return time.Since(start)
	}
	trip() // with the connection's making
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	b.ReportAllocs()
	b.ResetTimer()
	took := make([]time.Duration, 0, b.N)
	for range b.N {
		<-tick.C
		took = append(took, trip())
	}
	b.StopTimer()
	slices.Sort(took)
	micros := func(part float64) float64 { return float64(took[int(part*float64(len(took)-1))].Nanoseconds()) / 1000 }
	b.ReportMetric(micros(0.5), "µs-p50")
	b.ReportMetric(micros(0.99), "µs-p99")
	b.ReportMetric(micros(1), "µs-max")
}

// load keeps every core busy twice over until the benchmark ends.
func load(b *testing.B) {
	for range 2 * runtime.NumCPU() {
		c := exec.Command("/bin/sh", "-c", "while :; do :; done")
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			_ = c.Process.Kill()
			_ = c.Wait()
		})
	}
}
