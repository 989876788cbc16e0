package daemon

import (
	"context"
	"time"

	"matriarch/internal/callback"
	"matriarch/internal/config"
	"matriarch/internal/ha"
)

// herald calls the user's commands as the configuration in force names them.
type herald struct{ d *Daemon }

// Call runs the command for that event, if there is one (compat/config.md §2.6.2).
func (h herald) Call(c ha.Callback) {
	h.d.mu.Lock()
	command, scope := h.d.effective.Postgresql.Callbacks[string(c.Event)], h.d.local.Scope
	h.d.mu.Unlock()
	words, err := config.Words(command)
	if err != nil || len(words) == 0 { // a command that cannot be read was reported with the file
		return
	}
	h.d.calls.Call(callback.Call{Action: string(c.Event), Argv: append(words, string(c.Event), string(c.Role), scope)})
}

// callbackPatience is how long the last callback may run on when the agent ends: on_stop
// has an address to take down. It is cut short well before a service manager would kill
// the agent for it (systemd: 90 s, DefaultTimeoutStopSec).
const callbackPatience = 10 * time.Second

// endCallbacks waits for the last callback.
func (d *Daemon) endCallbacks() {
	ctx, cancel := context.WithTimeout(context.Background(), callbackPatience)
	defer cancel()
	d.calls.Close(ctx)
}
