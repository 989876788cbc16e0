// Package load watches how much of the machine's processors others use while
// something is measured: figures taken while they were busy are theirs as well.
package load

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Others watches everything on the machine that is not in the run's own cgroup.
type Others struct {
	group string
	read  func() (sample, error)

	mu      sync.Mutex
	samples []sample
}

// sample is what the processors had done at an instant.
type sample struct {
	at         time.Time
	busy, ours time.Duration
}

const (
	// step is between two samples; the kernel counts in hundredths of a second.
	step = 100 * time.Millisecond
	tick = 10 * time.Millisecond // USER_HZ, proc(5)
)

// New makes a watch. Where the run has no cgroup nothing can be told apart, and
// every share is zero.
func New(group string) *Others {
	o := &Others{group: group}
	o.read = o.look
	return o
}

// Known reports whether others can be told apart at all.
func (o *Others) Known() bool { return o.group != "" }

// Watch takes samples until ctx ends.
func (o *Others) Watch(ctx context.Context) error {
	if !o.Known() {
		return nil
	}
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	for {
		s, err := o.read()
		if err != nil {
			return fmt.Errorf("see what others do: %w", err)
		}
		o.mu.Lock()
		o.samples = append(o.samples, s)
		o.mu.Unlock()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Share is how much of all processors others used between two instants: from 0 to 1.
func (o *Others) Share(from, to time.Time) float64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	var first, last *sample
	for i := range o.samples {
		s := &o.samples[i]
		if first == nil || !s.at.After(from) {
			first = s
		}
		last = s
		if !s.at.Before(to) {
			break
		}
	}
	if first == nil || !last.at.After(first.at) {
		return 0
	}
	used := (last.busy - first.busy) - (last.ours - first.ours)
	return max(0, used.Seconds()/(last.at.Sub(first.at).Seconds()*float64(runtime.NumCPU())))
}

// Forget drops what was seen before an instant.
func (o *Others) Forget(before time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := 0
	for i < len(o.samples) && o.samples[i].at.Before(before) {
		i++
	}
	o.samples = append([]sample(nil), o.samples[i:]...)
}

func (o *Others) look() (sample, error) {
	all, err := os.ReadFile("/proc/stat")
	if err != nil {
		return sample{}, err
	}
	ours, err := os.ReadFile(filepath.Join(o.group, "cpu.stat"))
	if err != nil {
		return sample{}, err
	}
	busy, err := busyTime(string(all))
	if err != nil {
		return sample{}, err
	}
	used, err := usedTime(string(ours))
	return sample{time.Now(), busy, used}, err
}

// busyTime reads the first line of /proc/stat: all but idle and iowait, with what
// the host machine took away.
func busyTime(text string) (time.Duration, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("read /proc/stat: %q", line)
	}
	var sum time.Duration
	for i, f := range fields[1:9] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read /proc/stat: %w", err)
		}
		if i != 3 && i != 4 {
			sum += time.Duration(n) * tick
		}
	}
	return sum, nil
}

// usedTime reads cpu.stat of a cgroup.
func usedTime(text string) (time.Duration, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "usage_usec "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return time.Duration(n) * time.Microsecond, err
		}
	}
	return 0, fmt.Errorf("no usage_usec in cpu.stat: %q", text)
}
