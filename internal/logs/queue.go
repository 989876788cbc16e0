package logs

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// queue keeps producers from waiting for whoever reads the log.
type queue struct {
	mu      sync.Mutex
	lines   [][]byte
	max     int
	dropped int
	closed  bool

	wake  chan struct{} // there is something to do
	ended chan struct{}

	writing sync.Mutex // held while out is used or changed
	out     output
	stderr  io.Writer
	failed  bool // the last line did not reach out
}

// output is a place for lines.
type output interface {
	io.Writer
	Close() error
}

const leastQueue = 1

func newQueue(limit int, out output, stderr io.Writer) *queue {
	q := &queue{max: max(limit, leastQueue), out: out, stderr: stderr, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run()
	return q
}

// put adds a line, or counts it as dropped. After the end it is written at once.
func (q *queue) put(line []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		_, err := q.stderr.Write(line)
		return err
	}
	if len(q.lines) >= q.max {
		q.dropped++
		return nil
	}
	q.lines = append(q.lines, line)
	q.stir()
	return nil
}

func (q *queue) stir() {
	select {
	case q.wake <- struct{}{}:
	default: // one is waiting already
	}
}

func (q *queue) limit(limit int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.max = max(limit, leastQueue)
}

// run writes until the queue is closed and empty.
func (q *queue) run() {
	defer close(q.ended)
	for range q.wake {
		for {
			lines, dropped, closed := q.take()
			for _, line := range lines {
				q.write(line)
			}
			if dropped > 0 {
				q.write(fmt.Appendf(nil, "%s %s: %d log records were dropped: the log was not written as fast as they came\n",
					time.Now().Format("2006-01-02 15:04:05,000"), levelName(slog.LevelWarn), dropped))
			}
			if len(lines) == 0 {
				if closed {
					return
				}
				break
			}
		}
	}
}

func (q *queue) take() (lines [][]byte, dropped int, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, dropped = q.lines, q.dropped
	q.lines, q.dropped = nil, 0
	return lines, dropped, q.closed
}

// write gives a line to the output. One that a file does not take (the disk is full)
// goes to standard error.
func (q *queue) write(line []byte) {
	q.writing.Lock()
	defer q.writing.Unlock()
	_, err := q.out.Write(line)
	if err == nil {
		q.failed = false
		return
	}
	if !q.failed {
		fmt.Fprintf(q.stderr, "the log cannot be written, this is used instead: %v\n", err)
	}
	q.failed = true
	_, _ = q.stderr.Write(line) // there is nowhere else to say it
}

// redirect writes to another place from now on.
func (q *queue) redirect(out output) {
	q.writing.Lock()
	old := q.out
	q.out, q.failed = out, false
	q.writing.Unlock()
	_ = old.Close() // everything was written to it already
}

func (q *queue) close(timeout time.Duration) error {
	q.mu.Lock()
	q.closed = true
	q.stir()
	q.mu.Unlock()
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	select {
	case <-q.ended:
		return q.out.Close()
	case <-limit.C:
		return fmt.Errorf("close the log: %w for %v", ErrStuck, timeout)
	}
}
