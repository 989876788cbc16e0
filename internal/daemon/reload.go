package daemon

import (
	"context"
	"fmt"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"matriarch/internal/api"
	"matriarch/internal/config"
	"matriarch/internal/postgres"
)

// askReload has the file read again soon. One reload after the last word is enough.
func (d *Daemon) askReload() {
	select {
	case d.reloads <- struct{}{}:
	default:
	}
}

// lastReload is what came of the last one.
func (d *Daemon) lastReload() api.Reloaded {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reloaded
}

// reload reads the file again, and keeps what came of it for whoever asked.
func (d *Daemon) reload() {
	d.notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", systemd.SdNotifyReloading, monotonicMicros()))
	defer d.notify(systemd.SdNotifyReady)
	now := d.reread()
	now.Invalid = append(now.Invalid, d.hands.pg.Faults()...)
	d.mu.Lock()
	defer d.mu.Unlock()
	now.Count = d.reloaded.Count + 1
	d.reloaded = now
}

// reread takes the file into force. One that cannot be used leaves the settings as they
// are, but the server's files are written, and it reads them, in any case: whoever
// changed them by hand expects that (compat/config.md §1.5).
func (d *Daemon) reread() (out api.Reloaded) {
	out = api.Reloaded{Changed: []api.ReloadedKey{}, Invalid: []string{}}
	trouble := func(text string, err error) {
		d.log.Error(text, "err", err)
		out.Invalid = append(out.Invalid, text+": "+err.Error())
	}
	local, report, err := config.Load(d.options.Path, d.options.Environ)
	for _, p := range report.Problems {
		d.log.Warn("configuration: " + p.String())
		out.Invalid = append(out.Invalid, p.String())
	}
	if err != nil {
		d.log.Error("the configuration is refused; the one in force stays", "path", d.options.Path, "err", err)
		out.Refused = refusal(report, err)
		d.reloadServer(d.inForce(), trouble)
		return out
	}
	changes, moved := d.replace(local)
	if moved {
		out.Refused = "name, scope, namespace and data_dir cannot change while the agent runs; the configuration in force stays: restart the agent"
		d.log.Error(out.Refused)
		return out
	}
	d.reloadLog(local)
	d.tellChanges(changes)
	for _, c := range changes {
		out.Changed = append(out.Changed, api.ReloadedKey{Key: c.Key, Restart: c.Apply.Restart, How: c.Left()})
	}
	d.renewCredentials()
	ctx, cancel := context.WithTimeout(context.Background(), reloadTimeout)
	defer cancel()
	d.reloadServer(local, trouble)
	if err := d.peers.client.Renew(clientOptions(local)); err != nil {
		trouble("the members are called with the old settings", err)
	}
	if err := d.right.reload(local); err != nil {
		trouble("the heartbeat connections keep their settings", err)
	}
	if err := d.api.Reload(ctx, d.apiOptions(local)); err != nil {
		trouble("the REST API could not be reloaded", err)
	}
	d.log.Info("configuration reloaded", "path", d.options.Path)
	return out
}

// refusal is why a file is not taken: its faults are told one by one, or there is one
// that kept it from being read at all.
func refusal(report config.Report, err error) string {
	if n := len(report.Errors()); n > 0 {
		return fmt.Sprintf("the file has faults (%d) and is not used; what was in force stays", n)
	}
	return "the file is not used, what was in force stays: " + err.Error()
}

func (d *Daemon) inForce() *config.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.local
}

// replace takes a configuration into force, but for one that would make this another
// node, and tells what it changes.
func (d *Daemon) replace(local *config.Config) (changes []config.Change, moved bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	moved = local.Name != d.local.Name || local.Scope != d.local.Scope || local.Namespace != d.local.Namespace ||
		local.Postgresql.DataDir != d.local.Postgresql.DataDir
	changes = config.Changes(d.local, local)
	if !moved {
		d.local = local
	}
	return changes, moved
}

const reloadTimeout = 10 * time.Second

// tellChanges names the keys that a reload has found changed, and those that count
// only after a start of the agent.
func (d *Daemon) tellChanges(changes []config.Change) {
	if len(changes) == 0 {
		d.log.Info("No local configuration items changed.")
	}
	for _, c := range changes {
		if c.AgentRestart() {
			d.log.Warn("configuration: " + c.Key + " has changed, and counts when the agent is restarted")
			continue
		}
		d.log.Info("configuration: " + c.Key + " has changed")
	}
}

// reloadServer writes the server's files and has it read them.
func (d *Daemon) reloadServer(local *config.Config, trouble func(string, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), reloadTimeout)
	defer cancel()
	if err := d.hands.reload(ctx, local, d.agent.Latest().Observation.Store.Dynamic); err != nil {
		trouble("PostgreSQL could not be reloaded", err)
	}
}

// reload gives a new local configuration to the server, and always makes it read
// its files again (compat/config.md §1.5).
func (h *hands) reload(ctx context.Context, local *config.Config, dynamic map[string]any) error {
	h.mu.Lock()
	h.local = local
	h.mu.Unlock()
	if err := h.Configure(ctx, dynamic); err != nil {
		return err
	}
	if h.pg.Directory() != postgres.HasControl {
		return nil
	}
	return h.tellServer(ctx, true)
}
