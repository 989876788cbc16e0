package chaos

import (
	"context"
	"sync"
	"syscall"
	"time"

	"matriarch/test/e2e/lab"
)

// etcdAway stops all of etcd.
var etcdAway = fault{name: "etcd stopped", keeps: true, clean: true, deal: func(f *field, _ *lab.Node) func() {
	f.signalEtcd(syscall.SIGSTOP)
	return func() { f.signalEtcd(syscall.SIGCONT) }
}}

func (f *field) signalEtcd(s syscall.Signal) {
	for i := range f.etcd.Endpoints {
		f.etcd.Signal(i, s)
	}
}

// etcdStutters stops all of etcd for a moment again and again: to those who wait for
// it that is a disk whose fsync takes that long.
var etcdStutters = fault{name: "etcd stutters", keeps: true, clean: true, deal: func(f *field, _ *lab.Node) func() {
	return f.meanwhile(func(ctx context.Context) {
		defer f.signalEtcd(syscall.SIGCONT)
		for waited(ctx, 300*time.Millisecond) {
			f.signalEtcd(syscall.SIGSTOP)
			waited(ctx, 700*time.Millisecond) // less than etcd's election timeout, 1 s
			f.signalEtcd(syscall.SIGCONT)
		}
	})
}}

// etcdBeheaded kills the leader of etcd every few seconds.
var etcdBeheaded = fault{name: "etcd's leader killed again and again", keeps: true, clean: true, deal: func(f *field, _ *lab.Node) func() {
	down := -1
	deal := func() {
		if down >= 0 {
			f.etcd.Start(down)
		}
		down = f.etcd.Leader()
		f.s.say("etcd's leader %d is killed", down)
		f.etcd.Kill(down)
	}
	deal()
	for range 2 {
		f.pass(3 * time.Second)
		deal()
	}
	return func() { f.etcd.Start(down); f.etcd.WaitReady() }
}}

// meanwhile runs something until the returned function is called, which waits for
// its end.
func (f *field) meanwhile(run func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(f.t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { run(ctx) })
	return func() { cancel(); wait.Wait() }
}

// waited lets time pass, and says whether it did so to the end.
func waited(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
