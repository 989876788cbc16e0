package embedded

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"
)

func TestBridge(t *testing.T) {
	for _, c := range []struct {
		name     string
		say      func(*zap.Logger)
		stopping bool
		want     string
	}{
		{"an error is a warning of ours", func(l *zap.Logger) { l.Error("disk", zap.Int("bytes", 7)) }, false,
			"level=WARN msg=disk part=etcd bytes=7\n"},
		{"a warning is a notice", func(l *zap.Logger) { l.With(zap.String("peer", "n2")).Warn("odd") }, false,
			"level=INFO msg=odd part=etcd peer=n2\n"},
		{"a notice is for debug", func(l *zap.Logger) { l.Info("started") }, false, ""},
		{"a habitual warning is for debug", func(l *zap.Logger) { l.Warn("prober detected unhealthy status") }, false, ""},
		{"what the stop stirs up is for debug", func(l *zap.Logger) { l.Error("closed") }, true, ""},
	} {
		var out bytes.Buffer
		handler := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
		var stopping atomic.Bool
		stopping.Store(c.stopping)
		c.say(bridge(slog.New(handler), &stopping))
		if got := strings.TrimSpace(out.String()); got != strings.TrimSpace(c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// lines are what a logger wrote, safe for the server's goroutines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestAnOrdinaryRequestIsNotWorthALine(t *testing.T) {
	g := prepare(t, 1)
	var log lines
	g.configs[0].Logger = slog.New(slog.NewTextHandler(&log, nil))
	g.start(t, 0)
	st := g.store(t, 0)
	for range 20 {
		if _, err := st.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "request stats"); n > 5 { // a few may really be slow
		t.Errorf("%d of 20 requests are in the log:\n%s", n, log.String())
	}
}
