package guard

import (
	"sync"
	"syscall"
)

// reaper waits for the guard's children: the postmaster, and what the server left
// behind, which comes to the guard as the subreaper. A zombie that nobody reaps
// looks alive to whoever goes by the number.
type reaper struct {
	wake int           // eventfd, told when there is news
	kick chan struct{} // there may be a child again

	mu   sync.Mutex
	dead []reaped
}

type reaped struct {
	pid    int
	status syscall.WaitStatus
}

func newReaper(wake int) *reaper {
	r := &reaper{wake: wake, kick: make(chan struct{}, 1)}
	go r.run()
	return r
}

// run ends with the process.
func (r *reaper) run() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.ECHILD:
			<-r.kick
		case err == nil:
			r.mu.Lock()
			r.dead = append(r.dead, reaped{pid, status})
			r.mu.Unlock()
			_, _ = syscall.Write(r.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		}
	}
}

// started says that there is a child.
func (r *reaper) started() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// take returns who has ended since the last call.
func (r *reaper) take() []reaped {
	r.mu.Lock()
	defer r.mu.Unlock()
	dead := r.dead
	r.dead = nil
	return dead
}
