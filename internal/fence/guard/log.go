package guard

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

// logger writes lines to where the server's output goes. It never makes the guard
// wait: a line that finds the writer stuck (a pipe that nobody reads, a disk that
// hangs) is dropped and counted.
type logger struct {
	lines   chan string
	dropped int
}

func newLogger() *logger {
	l := &logger{lines: make(chan string, 64)}
	go func() {
		for line := range l.lines {
			// EPIPE and the like: there is nobody left to tell.
			_, _ = syscall.Write(2, []byte(line))
		}
	}()
	return l
}

func (l *logger) say(text string) {
	if l.dropped > 0 {
		text += " (" + strconv.Itoa(l.dropped) + " lines before were lost)"
	}
	stamp := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	select {
	case l.lines <- stamp + " " + Name + "[" + strconv.Itoa(os.Getpid()) + "] " + text + "\n":
		l.dropped = 0
	default:
		l.dropped++
	}
}

func (l *logger) fault(doing string, err error) { l.say(doing + ": " + err.Error()) }
