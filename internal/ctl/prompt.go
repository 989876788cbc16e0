package ctl

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
)

// lines reads answers one by one. Reading stands in a goroutine of its own, since
// a read from a terminal cannot be stopped: Ctrl-C ends the process instead.
type lines struct {
	in      io.Reader
	started bool
	next    chan string // closed at the end of the input
}

func newLines(in io.Reader) *lines { return &lines{in: in, next: make(chan string)} }

func (l *lines) read(ctx context.Context) (string, error) {
	if !l.started {
		l.started = true
		go l.feed()
	}
	select {
	case line, ok := <-l.next:
		if !ok {
			return "", errAborted
		}
		return line, nil
	case <-ctx.Done():
		return "", errAborted
	}
}

func (l *lines) feed() {
	defer close(l.next)
	if l.in == nil {
		return
	}
	r := bufio.NewReader(l.in)
	for {
		line, err := r.ReadString('\n')
		if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
			return
		}
		l.next <- strings.TrimRight(line, "\r\n")
	}
}

// ask prompts for a value. Nothing typed is the fallback.
func (a *app) ask(ctx context.Context, text, fallback string) (string, error) {
	a.say("%s [%s]: ", text, fallback)
	answer, err := a.input.read(ctx)
	if err != nil {
		return "", err
	}
	if answer = strings.TrimSpace(answer); answer == "" {
		answer = fallback
	}
	return answer, nil
}

// confirm prompts for yes or no. Nothing typed is no.
func (a *app) confirm(ctx context.Context, text string) (bool, error) {
	for {
		a.say("%s [y/N]: ", text)
		answer, err := a.input.read(ctx)
		if err != nil {
			return false, err
		}
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "y", "yes", "true", "t", "1", "on":
			return true, nil
		case "n", "no", "", "false", "f", "0", "off":
			return false, nil
		}
		a.say("Error: invalid input\n")
	}
}
