package ctl

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
)

// progress tells a person how something comes along: a line on stderr for every change,
// and below it one that counts the seconds, so that a quiet minute does not look like a
// program that hangs. Who reads stderr by a script gets errors and warnings alone.
type progress struct {
	a     *app
	live  bool
	since time.Time
	shown string // the last change
	drawn bool   // the counting line stands on the screen
}

func (a *app) progress() *progress {
	return &progress{a: a, live: a.live(), since: a.Now()}
}

// live tells whether a person looks at stderr, and wants to see more than what counts.
func (a *app) live() bool { return !a.quiet && (a.Terminal || isTerminal(a.Err)) }

// staying are the commands that can stay with something for a while.
var staying = []string{"switchover", "failover", "restart", "reload", "reinit", "pause", "resume", "demote-cluster", "promote-cluster"}

// quietFlag lets a person be left alone.
func (a *app) quietFlag(f *pflag.FlagSet) {
	f.BoolVar(&a.quiet, "quiet", false, "show no progress on a terminal; errors and warnings come all the same")
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// show prints the text if it is new.
func (p *progress) show(text string) {
	if !p.live || text == "" || text == p.shown {
		return
	}
	p.end()
	p.shown = text
	fmt.Fprintf(p.a.Err, "%s %s\n", p.a.stamp(), text)
}

// tick draws the counting line anew.
func (p *progress) tick() {
	if p.live {
		p.drawn = true
		fmt.Fprintf(p.a.Err, "\r\x1b[Kwaiting for %d s; Ctrl-C leaves it alone", int(p.a.Now().Sub(p.since)/time.Second))
	}
}

// end takes the counting line off the screen.
func (p *progress) end() {
	if p.drawn {
		p.drawn = false
		fmt.Fprint(p.a.Err, "\r\x1b[K")
	}
}

// follow looks at the cluster whenever it changes, shows its line, and returns once
// done says so (true) or ctx ends (false).
func (s *session) follow(ctx context.Context, p *progress, line func(cluster.View) string, done func(cluster.View) bool) bool {
	defer p.end()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		view := s.mirrored()
		p.show(line(view))
		if done(view) {
			return true
		}
		select {
		case <-s.store.Changed():
		case <-second.C:
			p.tick()
		case <-ctx.Done():
			return false
		}
	}
}

// during shows what the store tells of the cluster while a member is asked.
func (s *session) during(ctx context.Context, p *progress, line func(cluster.View) string,
	call func(context.Context) (client.Answer, error)) (client.Answer, error) {
	watching, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.follow(watching, p, line, func(cluster.View) bool { return false })
	}()
	defer func() {
		stop()
		<-ended
	}()
	return call(ctx)
}

// memberLine is a member's state in a few words.
func (s *session) memberLine(name string) func(cluster.View) string {
	return func(view cluster.View) string {
		m, ok := view.Member(name)
		if !ok {
			return ""
		}
		text := newPicture(s.name, view).state(m)
		if m.Progress != "" {
			text += " (" + m.Progress + ")"
		}
		return name + ": " + text
	}
}
