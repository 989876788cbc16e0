// Package watchdog drives a watchdog device: hardware, or a part of the kernel,
// that resets the machine unless it is told in time that all is well.
//
// It stands behind the guard, for hosts on which the guard cannot run either. A
// leader activates it before it is promoted, feeds it whenever its right to write
// was confirmed, and disables it only where the server cannot write any more. An
// agent that dies or hangs in between does nothing, and nothing is what the
// device waits for.
//
// So callers must not feed it for any other reason, nor from another process, nor
// disable it because they are about to end (B-604, B-605 of Patroni's behaviour).
package watchdog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"matriarch/internal/boottime"
)

// Watchdog is one node's device. It can be used by many goroutines at once.
//
// Activate, Keepalive, Disable and Reload take as long as the device takes.
// Confirmed, Running, Healthy and State never wait for it.
type Watchdog struct {
	log  *slog.Logger
	now  func() boottime.Instant
	open func(Settings) (device, error)

	wanted atomic.Pointer[Settings] // as of the last Reload
	state  atomic.Pointer[State]
	newest atomic.Int64  // boottime.Instant at which the newest confirmation was asked for
	wake   chan struct{} // there may be a new one

	mu     sync.Mutex // guards the fields below, and is held while the device works
	device device     // nil: none is open
	active Settings   // by which it was set
	fed    boottime.Instant
	told   string // the complaint that was logged last, so that each is logged once
}

// State is how things stand, for people.
type State struct {
	Running bool
	Name    string        // what the device calls itself
	Timeout time.Duration // in effect
}

// New opens nothing yet.
func New(s Settings, log *slog.Logger) *Watchdog {
	w := &Watchdog{log: log, now: boottime.Now, open: open, wake: make(chan struct{}, 1)}
	w.wanted.Store(&s)
	w.state.Store(&State{})
	return w
}

// Activate opens the device and sets its timeout. An error means that this member
// must not lead; it comes in mode Required only. With a device that runs already,
// and in mode Off, it is nil at once, so that a leader can call it in every pass
// (B-273, B-603).
func (w *Watchdog) Activate() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.device != nil {
		return nil
	}
	return w.activate(*w.wanted.Load())
}

func (w *Watchdog) activate(s Settings) error {
	err := w.start(s)
	if err != nil && s.Mode == Required {
		return fmt.Errorf("activate the watchdog, which is required: %w", err)
	}
	if err != nil {
		w.complain(err)
	}
	return nil
}

func (w *Watchdog) start(s Settings) error {
	if !s.On() {
		return nil
	}
	if err := s.usable(); err != nil {
		return err
	}
	d, err := w.open(s)
	if err != nil {
		return err
	}
	if !d.support().magicClose {
		w.log.Warn("the watchdog device cannot be disabled: when this member stops leading, the machine will be reset", "device", s.Device)
	}
	w.device = d
	return w.set(s)
}

// set gives the open device the settings, and closes one that cannot serve. The
// error says why none is running; in mode Automatic that is no obstacle.
func (w *Watchdog) set(s Settings) error {
	w.active = s
	effective, err := setTimeout(w.device, s.Timeout())
	if err != nil {
		w.drop()
		return err
	}
	keep, complaint := judge(s, effective, w.device.support().magicClose)
	if !keep {
		w.drop()
		return fmt.Errorf("watchdog device %s: %s", s.Device, complaint)
	}
	w.fed = w.now() // both opening and a new timeout begin the count anew
	w.state.Store(&State{Running: true, Name: w.device.support().name, Timeout: effective})
	w.told = ""
	if complaint != "" {
		w.complain(fmt.Errorf("watchdog device %s: %s", s.Device, complaint))
	}
	w.log.Info("the watchdog is active", "device", s.Device, "name", w.device.support().name, "timeout", effective, "slack", effective-s.LoopWait)
	return nil
}

func setTimeout(d device, wanted time.Duration) (time.Duration, error) {
	if d.support().setTimeout {
		if err := d.setTimeout(wanted); err != nil {
			return 0, err
		}
	}
	return d.timeout()
}

// Confirmed says that the right to lead was confirmed, by the store or by all
// peers, to a question sent at that instant. Run feeds the device for it.
func (w *Watchdog) Confirmed(sent boottime.Instant) {
	for {
		old := w.newest.Load()
		if int64(sent) <= old {
			return // an answer that was overtaken by a later one
		}
		if w.newest.CompareAndSwap(old, int64(sent)) {
			break
		}
	}
	select {
	case w.wake <- struct{}{}:
	default: // Run is about to look
	}
}

// Run feeds the device for what Confirmed says, until ctx ends. It leaves the
// device as it is: that its keeper ends is no reason to disable it.
func (w *Watchdog) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		}
		if w.due() {
			w.Keepalive(boottime.Instant(w.newest.Load()))
		}
	}
}

// due keeps the pace. A confirmation that is passed over leaves the reset where
// it was: earlier, which is the safe side.
func (w *Watchdog) due() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.device != nil && w.now().Sub(w.fed) >= w.active.Pace()
}

// Keepalive feeds the device now for a confirmation that was asked for at that
// instant, if it is fresh enough, and then puts changed settings in force (B-607).
func (w *Watchdog) Keepalive(sent boottime.Instant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.device == nil {
		return
	}
	if age := w.now().Sub(sent); age > w.active.Fresh() {
		w.complain(fmt.Errorf("not fed: what confirmed the right to lead is more than %v old", w.active.Fresh()))
		return
	}
	if err := w.device.keepalive(); err != nil {
		w.complain(err)
		if gone(err) {
			w.lose()
		}
		return
	}
	w.fed, w.told = w.now(), ""
	if s := *w.wanted.Load(); s != w.active {
		w.change(s)
	}
}

// change puts settings in force while a device is running. What fails in mode
// Required is found by the leader's next Activate, since none runs then.
func (w *Watchdog) change(s Settings) {
	old := w.active
	err := s.usable()
	switch {
	case err != nil:
		w.drop()
	case s.Device != old.Device || s.Driver != old.Driver:
		w.drop()
		err = w.activate(s)
	default:
		err = w.set(s)
	}
	if err != nil {
		w.complain(err)
	}
}

// Disable stops the device from counting: where the cluster is paused, and where
// the server cannot write any more. A device that cannot be disabled is fed a
// last time, and resets the machine (B-602, B-605).
func (w *Watchdog) Disable() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.device != nil {
		w.drop()
		w.told = ""
	}
}

func (w *Watchdog) drop() {
	d := w.device
	if !d.support().magicClose {
		if err := d.keepalive(); err != nil {
			w.log.Warn("the watchdog could not be fed a last time", "err", err)
		}
		w.log.Warn("the watchdog device cannot be disabled: the machine will be reset", "device", w.active.Device)
	}
	if err := d.close(d.support().magicClose); err != nil {
		w.log.Warn("the watchdog could not be disabled: the machine may be reset", "err", err)
	} else if d.support().magicClose && w.Running() { // else it was only tried
		w.log.Info("the watchdog is disabled", "device", w.active.Device)
	}
	w.device = nil
	w.state.Store(&State{})
}

// lose forgets a device that is not there any more.
func (w *Watchdog) lose() {
	_ = w.device.close(false) // it was just told that this leads nowhere
	w.device = nil
	w.state.Store(&State{})
}

// Reload changes the settings. Switching off takes effect at once, everything
// else with the next keepalive, which tells that a right to lead stands behind
// the new timings, or with Activate.
func (w *Watchdog) Reload(s Settings) {
	w.wanted.Store(&s)
	if !s.On() {
		w.Disable()
	}
}

// Running reports that a device is counting.
func (w *Watchdog) Running() bool { return w.state.Load().Running }

// State tells how things stand.
func (w *Watchdog) State() State { return *w.state.Load() }

// Healthy reports that this member could activate the device, or need not. A
// member that is not healthy says watchdog_failed, and is no candidate (B-608).
func (w *Watchdog) Healthy() bool {
	s := *w.wanted.Load()
	return s.Mode != Required || s.usable() == nil && s.writable()
}

// complain logs what keeps the device from serving, once.
func (w *Watchdog) complain(err error) {
	if err.Error() == w.told {
		return
	}
	w.told = err.Error()
	level := slog.LevelWarn
	if errors.Is(err, fs.ErrNotExist) {
		level = slog.LevelInfo // automatic is the default, and most hosts have no device
	}
	w.log.Log(context.Background(), level, "the watchdog is not as it should be", "err", err)
}
