package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// interrupts ends an operator's command on Ctrl-C and SIGTERM. While an editor has
// the terminal Ctrl-C is the editor's, though the terminal sends it to us as well.
type interrupts struct{ held atomic.Bool }

// context ends with the first signal. stop must be called.
func (i *interrupts) context(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case s := <-signals:
				if s != syscall.SIGINT || !i.held.Load() {
					cancel()
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
		<-ended
	}
}

// hold lets Ctrl-C pass by until release is called.
func (i *interrupts) hold() (release func()) {
	i.held.Store(true)
	return func() { i.held.Store(false) }
}
