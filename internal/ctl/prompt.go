package ctl

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
)

// lines reads answers one by one. Reading stands in a goroutine of its own, since
// a read from a terminal cannot be stopped: Ctrl-C ends the process instead. It
// reads only when asked to, for an editor may want the terminal meanwhile.
type lines struct {
	in      io.Reader
	started bool
	want    chan struct{} // room for one
	next    chan string   // closed at the end of the input
}

func newLines(in io.Reader) *lines {
	return &lines{in: in, want: make(chan struct{}, 1), next: make(chan string)}
}

func (l *lines) read(ctx context.Context) (string, error) {
	if !l.started {
		l.started = true
		go l.feed()
	}
	select {
	case l.want <- struct{}{}:
	default: // the last question is still unanswered, or the input has ended
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
	for range l.want {
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

// askPlain prompts for a value that must be typed.
func (a *app) askPlain(ctx context.Context, text string) (string, error) {
	for {
		a.say("%s: ", text)
		answer, err := a.input.read(ctx)
		if err != nil || answer != "" {
			return answer, err
		}
	}
}

// askNumber prompts for a whole number that must be typed.
func (a *app) askNumber(ctx context.Context, text string) (int, error) {
	for {
		answer, err := a.askPlain(ctx, text)
		if err != nil {
			return 0, err
		}
		n, err := strconv.Atoi(strings.TrimSpace(answer))
		if err == nil {
			return n, nil
		}
		a.say("Error: '%s' is not a valid integer.\n", answer)
	}
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
