package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const patroniFormat = "%(asctime)s %(levelname)s: %(message)s"

// buffer is standard error.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// written is what a log with these options writes of what do says.
func written(t *testing.T, o Options, do func(l *slog.Logger)) string {
	t.Helper()
	var out buffer
	if o.MaxQueue == 0 {
		o.MaxQueue = 1000
	}
	l, err := Open(o, &out)
	if err != nil {
		t.Fatal(err)
	}
	do(l.Logger())
	if err := l.Close(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 67_000_000, time.Local)

// say logs one record of a fixed time.
func say(l *slog.Logger, level slog.Level, message string, args ...any) {
	r := slog.NewRecord(at, level, message, 0)
	r.Add(args...)
	if ctx := context.Background(); l.Handler().Enabled(ctx, level) {
		_ = l.Handler().Handle(ctx, r) // what it wrote is looked at
	}
}

func TestPlainLines(t *testing.T) {
	for _, c := range []struct {
		name, format, date, want string
	}{
		{"Patroni's layout", patroniFormat, "", "2026-01-02 03:04:05,067 WARNING: it is so why=\"a b\" n=3 err=\"no route\"\n"},
		{"flags and other fields", "[%(levelname)-8s] %(levelno)d %(msecs)03d %(process)d%% %(message)s", "",
			fmt.Sprintf("[WARNING ] 30 067 %d%% it is so why=\"a b\" n=3 err=\"no route\"\n", os.Getpid())},
		{"a date of strftime", "%(asctime)s %(message)s", "%d.%m.%y %H:%M", "02.01.26 03:04 it is so why=\"a b\" n=3 err=\"no route\"\n"},
		{"an unknown field is left out", "x%(nobody)sy %(message)s", "", "xy it is so why=\"a b\" n=3 err=\"no route\"\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := written(t, Options{Format: []Field{{Name: c.format}}, DateFormat: c.date, Member: "n1"}, func(l *slog.Logger) {
				say(l, slog.LevelWarn, "it is so", "why", "a b", "n", 3, "err", errors.New("no route"))
			})
			if got != c.want {
				t.Errorf("got  %swant %s", got, c.want)
			}
		})
	}
}

func TestALineStaysALine(t *testing.T) {
	got := written(t, Options{Format: []Field{{Name: "%(message)s"}}}, func(l *slog.Logger) {
		say(l, slog.LevelInfo, "one\n2026-01-01 ERROR: forged", "name", "x\ny")
	})
	if strings.Count(got, "\n") != 1 {
		t.Errorf("more than one line:\n%s", got)
	}
}

func TestJSONLines(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields []Field
		want   string
	}{
		{"the fields of a layout", []Field{{Name: patroniFormat}},
			`{"asctime": "2026-01-02 03:04:05,067", "levelname": "INFO", "message": "it <is> so", "app": "db", "n": 1, "member": "n1", "took": "2s", "g.x": true}` + "\n"},
		{"a list with names", []Field{{Name: "message", Output: "text"}, {Name: "levelname"}},
			`{"text": "it <is> so", "levelname": "INFO", "app": "db", "n": 1, "member": "n1", "took": "2s", "g.x": true}` + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := written(t, Options{JSON: true, Format: c.fields, StaticFields: map[string]any{"n": 1, "app": "db"}, Member: "n1"}, func(l *slog.Logger) {
				say(l, slog.LevelInfo, "it <is> so", "took", 2*time.Second, slog.Group("g", "x", true))
			})
			if got != c.want || !json.Valid([]byte(got)) {
				t.Errorf("got  %swant %s", got, c.want)
			}
		})
	}
}

func TestLevelsByPart(t *testing.T) {
	o := Options{Level: slog.LevelWarn, Format: []Field{{Name: "%(name)s %(levelname)s %(message)s"}},
		Loggers: map[string]slog.Level{"logs": slog.LevelDebug, "patroni.postgresql": slog.LevelError, "urllib3": slog.LevelDebug}}
	l := newLevels(o.Level, o.Loggers)
	for part, want := range map[string]slog.Level{"matriarch.postgres": slog.LevelError, "matriarch.postgres.conf": slog.LevelError,
		"matriarch.api": slog.LevelWarn, "urllib3": slog.LevelWarn, "": slog.LevelWarn} {
		if got := l.of(part); got != want {
			t.Errorf("%q: %v, want %v", part, got, want)
		}
	}
	if PartOf("urllib3") != "" || PartOf("postgres") != "matriarch.postgres" || PartOf("patroni.ha") != "matriarch.agent" {
		t.Error("names of parts")
	}
	if got := partOf("matriarch/internal/dcs/etcd.(*Pool).try.func1"); got != "matriarch.dcs.etcd" {
		t.Errorf("part %q", got)
	}
	got := written(t, Options{Level: slog.LevelWarn, Format: o.Format}, func(l *slog.Logger) { l.Info("a"); l.Warn("b"); l.Error("c") })
	if got != "matriarch.logs WARNING b\nmatriarch.logs ERROR c\n" {
		t.Errorf("got %s", got)
	}
	if got = written(t, Options{Level: Off}, func(l *slog.Logger) { l.Error("c") }); got != "" {
		t.Errorf("got %s", got)
	}
}

func TestStacks(t *testing.T) {
	o := Options{Format: []Field{{Name: "%(message)s"}}, Stacks: true}
	got := written(t, o, func(l *slog.Logger) { l.Warn("w"); l.Error("e") })
	if !strings.HasPrefix(got, "w\ne\ngoroutine ") || !strings.Contains(got, "TestStacks") {
		t.Errorf("got %s", got)
	}
}

// stuckWriter takes nothing until it is let go.
type stuckWriter struct {
	entered, free chan struct{}
	once          sync.Once
	buffer
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.entered) })
	<-w.free
	return w.buffer.Write(p)
}

// TestAStuckReaderHoldsNobody: what does not fit is dropped and counted.
func TestAStuckReaderHoldsNobody(t *testing.T) {
	w := &stuckWriter{entered: make(chan struct{}), free: make(chan struct{})}
	l, err := Open(Options{Format: []Field{{Name: "%(message)s"}}, MaxQueue: 3}, w)
	if err != nil {
		t.Fatal(err)
	}
	l.Logger().Info("first")
	<-w.entered
	for n := range 10 {
		l.Logger().Info(fmt.Sprint(n))
	}
	if err := l.Close(time.Millisecond); !errors.Is(err, ErrStuck) {
		t.Errorf("closed: %v", err)
	}
	close(w.free)
	if err := l.Close(10 * time.Second); err != nil {
		t.Error(err)
	}
	if got := w.String(); !strings.HasPrefix(got, "first\n0\n1\n2\n") || !strings.Contains(got, "7 log records were dropped") {
		t.Errorf("got %s", got)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	written(t, Options{Format: []Field{{Name: "%(message)s"}}, Dir: dir, Mode: 0o640, FileNum: 2, FileSize: 10}, func(l *slog.Logger) {
		for n := range 5 {
			l.Info(fmt.Sprintf("line %d", n)) // seven bytes: one in each file
		}
	})
	for name, want := range map[string]string{path: "line 4\n", path + ".1": "line 3\n", path + ".2": "line 2\n"} {
		if got := read(t, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if _, err := os.Stat(path + ".3"); err == nil {
		t.Error("more files are kept than asked for")
	}
	written(t, Options{Format: []Field{{Name: "%(message)s"}}, Dir: dir, FileNum: 0, FileSize: 10}, func(l *slog.Logger) { l.Info("goes on, however long") })
	if got := read(t, path); got != "line 4\ngoes on, however long\n" {
		t.Errorf("without files to keep nothing is rotated: %q", got)
	}
}

// TestModeOfAFileThatIsMade: the process's umask may be narrower by then. A file that is
// there already is its owner's.
func TestModeOfAFileThatIsMade(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := os.WriteFile(path, []byte("from before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	written(t, Options{Format: []Field{{Name: "%(message)s"}}, Dir: dir, Fresh: 0o664, FileNum: 1, FileSize: 10}, func(l *slog.Logger) { l.Info("a line") })
	for name, want := range map[string]fs.FileMode{path: 0o664, path + ".1": 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	var stderr buffer
	o := Options{Level: slog.LevelWarn, Format: []Field{{Name: "%(message)s"}}, MaxQueue: 10}
	l, err := Open(o, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	log := l.Logger().With("k", 1) // made before, and follows all the same
	log.Info("quiet")
	o.Level, o.Dir = slog.LevelInfo, filepath.Join(dir, "absent")
	if err := l.Reload(o); err == nil {
		t.Error("a directory that is not there")
	}
	log.Info("still quiet")
	o.Dir = dir
	if err := l.Reload(o); err != nil {
		t.Fatal(err)
	}
	log.Info("loud")
	if err := l.Close(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, FileName)); got != "loud k=1\n" || stderr.String() != "" {
		t.Errorf("file %q, stderr %q", got, stderr.String())
	}
	log.Error("after the end")
	if stderr.String() != "after the end k=1\n" {
		t.Errorf("stderr %q", stderr.String())
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }
func (full) Close() error              { return nil }

func TestAFullDiskFallsBackToStderr(t *testing.T) {
	var stderr buffer
	q := newQueue(10, full{}, &stderr)
	for _, line := range []string{"a\n", "b\n"} {
		if err := q.put([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.close(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if got := stderr.String(); got != "the log cannot be written, this is used instead: no space left on device\na\nb\n" {
		t.Errorf("got %q", got)
	}
}

var _ io.Writer = full{}
