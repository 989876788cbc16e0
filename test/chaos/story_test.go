package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"matriarch/test/chaos/history"
)

// story is what was done and seen, line by line, with instants on the run's clock.
type story struct {
	h *history.History

	mu    sync.Mutex
	lines []string
}

func (s *story) say(format string, args ...any) {
	line := fmt.Sprintf("%9s  %s", history.Instant(s.h.Now()), fmt.Sprintf(format, args...))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
	if testing.Verbose() {
		fmt.Fprintln(os.Stderr, line)
	}
}

func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// keep writes the story, the reigns and copies of the logs to a directory.
func (s *story) keep(dir string, logs []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "instant 0 was %s\n\n%s\n\nreigns:\n", s.h.Began().UTC().Format(time.RFC3339Nano), s)
	for _, r := range history.Reigns(s.h.Appends()) {
		text.WriteString(r.String() + "\n")
	}
	if err := os.WriteFile(filepath.Join(dir, "story"), []byte(text.String()), 0o644); err != nil {
		return err
	}
	for _, path := range logs {
		log, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "_")
		if err := os.WriteFile(filepath.Join(dir, name), log, 0o644); err != nil {
			return err
		}
	}
	return nil
}
