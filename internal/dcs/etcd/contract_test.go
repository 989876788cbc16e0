package etcd

import (
	"syscall"
	"testing"
	"time"

	"matriarch/internal/dcs"
	"matriarch/internal/dcs/dcstest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	dcstest.Run(t, func(t *testing.T) dcstest.Harness {
		list := servers(t, 1)
		return dcstest.Harness{
			Open:  func(string) dcs.Store { return open(t, list, nil) },
			Stop:  func() { list[0].kill() },
			Start: func() { list[0].start(t) },
			Now:   time.Now,
		}
	})
}

// The same with a store that is frozen instead of gone: connections stand, and
// nothing is answered.
func TestContractFrozen(t *testing.T) {
	t.Parallel()
	dcstest.RunOutage(t, func(t *testing.T) dcstest.Harness {
		list := servers(t, 1)
		return dcstest.Harness{
			Open:  func(string) dcs.Store { return open(t, list, nil) },
			Stop:  func() { list[0].signal(t, syscall.SIGSTOP) },
			Start: func() { list[0].signal(t, syscall.SIGCONT) },
			Now:   time.Now,
		}
	})
}
