package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// dog stands for the watchdog device of a node: a FIFO that keeps what it is told.
type dog struct {
	path string
	file *os.File
	text string
}

func newDog(t *testing.T, n *lab.Node) *dog {
	t.Helper()
	d := &dog{path: filepath.Join(n.Dir, "watchdog")}
	d.put(t)
	t.Cleanup(func() { d.file.Close() })
	return d
}

// put makes the device, read from before anybody writes.
func (d *dog) put(t *testing.T) {
	t.Helper()
	if err := syscall.Mkfifo(d.path, 0o600); err != nil {
		t.Fatal(err)
	}
	lab.Own(t, d.path)
	fd, err := syscall.Open(d.path, syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	d.file = os.NewFile(uintptr(fd), d.path)
}

// take removes the device.
func (d *dog) take(t *testing.T) {
	t.Helper()
	if err := os.Remove(d.path); err != nil {
		t.Fatal(err)
	}
	d.file.Close()
}

// told is what the device was told since the last forget.
func (d *dog) told(t *testing.T) string {
	t.Helper()
	buffer := make([]byte, 4096)
	if err := d.file.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := d.file.Read(buffer)
		if d.text += string(buffer[:n]); err != nil {
			return d.text
		}
	}
}

func (d *dog) forget(t *testing.T) {
	t.Helper()
	d.told(t)
	d.text = ""
}

// counts: the timeout was set for a ttl of 20 s and a margin of 5 s, and it is fed.
func (d *dog) waitCounts(t *testing.T) {
	t.Helper()
	lab.Eventually(t, lab.Patience, "the watchdog counts and is fed", func(context.Context) (bool, string) {
		text := d.told(t)
		_, after, set := strings.Cut(text, "Ctimeout=15\n")
		return set && strings.Count(after, "1") >= 2 && !strings.Contains(after, "V"), text
	})
}

func (d *dog) waitDisabled(t *testing.T) {
	t.Helper()
	lab.Eventually(t, lab.Patience, "the watchdog is disabled", func(context.Context) (bool, string) {
		text := d.told(t)
		return strings.HasSuffix(text, "V"), text
	})
}

// TestWatchdog has a device for each of two nodes, without which neither may lead.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	c := lab.New(t, 2, lab.StartEtcd(t, 1), lab.Changed(func(n *lab.Node, s lab.Settings) {
		s.Set("watchdog", map[string]any{"mode": "required", "driver": "testing", "device": filepath.Join(n.Dir, "watchdog"), "safety_margin": 5})
	}))
	dogs := map[*lab.Node]*dog{}
	for _, n := range c.Nodes {
		dogs[n] = newDog(t, n)
	}
	c.Start()
	leader := c.WaitWhole(lab.Patience)
	standby := c.Others(leader)[0]

	story(t, c, "the leader's counts and is fed, a standby's is left alone", func(t *testing.T) {
		dogs[leader].waitCounts(t)
		if text := dogs[standby].told(t); text != "" {
			t.Errorf("the standby's was told %q", text)
		}
	})
	story(t, c, "it is disabled while the cluster is paused", func(t *testing.T) {
		c.Configure(func(s lab.Settings) { s["pause"] = true })
		dogs[leader].waitDisabled(t)
		dogs[leader].forget(t)
		c.Configure(func(s lab.Settings) { delete(s, "pause") })
		dogs[leader].waitCounts(t)
	})
	story(t, c, "it goes by the ttl", func(t *testing.T) {
		dogs[leader].forget(t)
		c.Configure(func(s lab.Settings) { s["ttl"] = 30 })
		lab.Eventually(t, lab.Patience, "the timeout is changed", func(context.Context) (bool, string) {
			text := dogs[leader].told(t)
			return strings.Contains(text, "Ctimeout=25\n") && !strings.Contains(text, "V"), text
		})
		c.Configure(func(s lab.Settings) { s["ttl"] = 20 })
		dogs[leader].forget(t)
	})
	story(t, c, "a member whose device is gone is no candidate", func(t *testing.T) {
		dogs[standby].take(t)
		watchdogFailed(t, standby, true)
		answer, err := leader.Ask(t.Context(), lab.Patience, http.MethodPost, "/switchover", `{"leader":"`+leader.Name+`"}`)
		if err != nil || answer.Code != http.StatusPreconditionFailed {
			t.Errorf("a switchover: %d %s, %v", answer.Code, answer.Body, err)
		}
		dogs[standby].put(t)
		watchdogFailed(t, standby, false)
	})
	story(t, c, "a switchover takes it along", func(t *testing.T) {
		for _, d := range dogs {
			d.forget(t)
		}
		move(t, leader, "switchover", leader.Name, "")
		dogs[leader].waitDisabled(t)
		dogs[standby].waitCounts(t)
		leader, standby = standby, leader
		c.WaitWhole(lab.Patience)
	})
	story(t, c, "an agent that is killed leaves it counting", func(t *testing.T) {
		leader.KillAgent()
		dogs[standby].forget(t)
		c.WaitPrimary(leaseLimit, leader)
		dogs[standby].waitCounts(t)
		if text := dogs[leader].told(t); strings.Contains(text, "V") {
			t.Errorf("disabled by nobody: %q", text)
		}
		leader.Start()
		leader, standby = standby, leader
		c.WaitWhole(lab.Patience)
	})
	story(t, c, "an agent that ends in order has stopped its server, and disables it", func(t *testing.T) {
		dogs[leader].forget(t)
		leader.Stop()
		dogs[leader].waitDisabled(t)
	})
}

func watchdogFailed(t *testing.T, n *lab.Node, want bool) {
	t.Helper()
	lab.Eventually(t, lab.Patience, "what "+n.Name+" says of its watchdog", func(ctx context.Context) (bool, string) {
		answer, err := n.Ask(ctx, 5*time.Second, http.MethodGet, "/patroni", "")
		if err != nil {
			return false, err.Error()
		}
		_, failed := answer.Document()["watchdog_failed"]
		return failed == want, string(answer.Body)
	})
}
