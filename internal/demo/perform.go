package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// How long each step may take before the demonstration has failed. They are for a
// slow machine.
const (
	formLimit     = 2 * time.Minute
	failoverLimit = time.Minute
	rejoinLimit   = 2 * time.Minute
	rowsLimit     = 30 * time.Second
)

// perform runs the demonstration until it is over, failed, or ended by ctx.
func (d *demo) perform(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer fail(nil)

	w := newWriter(d.layout)
	p, err := newPicture(d, w)
	if err != nil {
		return err
	}
	for _, n := range d.nodes {
		if err := d.start(ctx, n, fail, &wait); err != nil {
			return err
		}
	}
	d.tell("started three agents, each with its part of the store: waiting for the cluster")
	wait.Go(func() { p.run(ctx) })

	watch, closeLog, err := d.openWatch(ctx)
	if err != nil {
		return err
	}
	defer closeLog()
	defer watch.close()
	p.see(watch)
	defer p.see(nil)
	s := &story{demo: d, watch: watch, writer: w, picture: p, start: func(n *node) error { return d.start(ctx, n, fail, &wait) }}
	if err := s.form(ctx); err != nil {
		return err
	}
	wait.Go(func() { w.run(ctx) })
	if err := s.tell(ctx); err != nil {
		return err
	}
	if d.options.JSON {
		err = d.printJSON()
	}
	if err != nil || d.options.Once {
		return err
	}
	return s.stay(ctx)
}

// start starts a node. An end of its agent that nobody wanted is the failure of the
// demonstration, until the story is told; later it is a person who plays.
func (d *demo) start(ctx context.Context, n *node, fail context.CancelCauseFunc, wait *sync.WaitGroup) error {
	if err := n.start(); err != nil {
		return err
	}
	ended := n.ended
	wait.Go(func() {
		select {
		case <-ended:
			switch {
			case !n.wanted.Load():
			case d.told.Load():
				d.fallen <- n
			default:
				fail(fmt.Errorf("the agent of %s ended by itself: see %s", n.name, d.layout.log(n.name)))
			}
		case <-ctx.Done():
		}
	})
	return nil
}

// openWatch connects to the store, with a log of its own beside the nodes'.
func (d *demo) openWatch(ctx context.Context) (*watch, func(), error) {
	file, err := os.OpenFile(d.layout.log("demo"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the demonstration's log: %w", err)
	}
	closeLog := func() { file.Close() }
	limited, cancel := within(ctx, formLimit, "three agents and no store that answers")
	defer cancel()
	w, err := openWatch(limited, d.layout, slog.New(slog.NewTextHandler(file, nil)))
	if err != nil {
		closeLog()
		return nil, nil, errors.Join(err, context.Cause(limited))
	}
	return w, closeLog, nil
}

// within limits a step; what was waited for is the error then.
func within(ctx context.Context, limit time.Duration, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("gave up after %v: %s", limit, what))
}

// tell prints a line of the story with the seconds since the beginning.
func (d *demo) tell(format string, args ...any) {
	d.screen.Say(fmt.Sprintf("%7.2f s  ", time.Since(d.began).Seconds()) + fmt.Sprintf(format, args...))
}
