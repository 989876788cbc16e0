package daemon

import (
	"log/slog"
	"sync"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/config"
	"matriarch/internal/fence/watchdog"
)

// warden has the watchdog device count while the server may be taking writes under
// a permit, fed by each confirmation of the permit. It stands behind the keeper, for
// a kernel that hangs with the guard in it.
//
// The device is disabled only where the server cannot write: in the agent's pass,
// by what it has seen. That the agent ends is no reason, nor is a stop that failed.
type warden struct {
	dog *watchdog.Watchdog
	log *slog.Logger
	now func() boottime.Instant

	mu       sync.Mutex
	settings watchdog.Settings
	length   time.Duration    // of the permit
	until    boottime.Instant // as told last; 0: there is no permit
	failed   boottime.Instant // when the device did not come up last; 0: it did
	changed  func()           // wakes the agent
}

func newWarden(s watchdog.Settings, log *slog.Logger) *warden {
	return &warden{dog: watchdog.New(s, log), log: log, now: boottime.Now, settings: s, changed: func() {}}
}

func watchdogSettings(local *config.Config, e config.Effective) watchdog.Settings {
	w := local.Watchdog
	return watchdog.Settings{Mode: watchdog.Mode(w.Mode), Device: w.Device, Driver: w.Driver, SafetyMargin: w.SafetyMargin,
		TTL: e.TTL, LoopWait: e.LoopWait}
}

// hold is told in every pass. A server that the guard has frozen takes no writes, and
// the machine must not be reset for what the guard has in hand.
func (w *warden) hold(mayWrite, frozen bool) {
	w.mu.Lock()
	permitted := w.until > w.now()
	w.mu.Unlock()
	switch {
	case !mayWrite || frozen:
		w.dog.Disable()
	case permitted:
		_ = w.activate() // said there, and seen as barred
	}
}

// activate has the device count. An error says that this member must not lead.
func (w *warden) activate() error {
	err := w.dog.Activate()
	w.mu.Lock()
	news := err != nil && w.failed == 0
	w.failed = 0
	if err != nil {
		w.failed = w.now()
	}
	changed := w.changed
	w.mu.Unlock()
	if news {
		w.log.Error("this member may not lead", "err", err)
		changed()
	}
	return err
}

// barred reports that a watchdog is required and does not work. A device that looks
// usable and did not come up is tried again after loop_wait.
func (w *warden) barred() bool {
	w.mu.Lock()
	s, failed := w.settings, w.failed
	w.mu.Unlock()
	if s.Mode != watchdog.Required || w.dog.Running() {
		return false
	}
	return failed != 0 && w.now().Sub(failed) < s.LoopWait || !w.dog.Healthy()
}

// confirmed is told each deadline of the permit, and feeds the device when it grows:
// it counts from the question that was answered, a permit before.
func (w *warden) confirmed(until boottime.Instant) {
	w.mu.Lock()
	grows, sent := until > w.until, until.Add(-w.length)
	w.until = until
	w.mu.Unlock()
	if grows {
		w.dog.Confirmed(sent)
	}
}

// know takes over the permit's length.
func (w *warden) know(length time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.length = length
}

// reload puts other settings in force; lease and permit go by the new ttl already.
func (w *warden) reload(s watchdog.Settings) {
	w.mu.Lock()
	same := s == w.settings
	w.settings = s
	if !same {
		w.failed = 0
	}
	w.mu.Unlock()
	if !same {
		w.dog.Reload(s)
	}
}
