package daemon

import (
	"context"
	"fmt"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

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

// reload reads the file again. A file that cannot be used leaves the settings as they
// are, but the server's files are written, and it reads them, in any case: whoever
// changed them by hand expects that (compat/config.md §1.5).
func (d *Daemon) reload() {
	d.notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", systemd.SdNotifyReloading, monotonicMicros()))
	defer d.notify(systemd.SdNotifyReady)
	local, report, err := config.Load(d.options.Path, d.options.Environ)
	for _, p := range report.Problems {
		d.log.Warn("configuration: " + p.String())
	}
	if err != nil {
		d.log.Error("the configuration is refused; the one in force stays", "path", d.options.Path, "err", err)
		d.mu.Lock()
		local = d.local
		d.mu.Unlock()
		d.reloadServer(local)
		return
	}
	d.mu.Lock()
	moved := local.Name != d.local.Name || local.Scope != d.local.Scope || local.Namespace != d.local.Namespace ||
		local.Postgresql.DataDir != d.local.Postgresql.DataDir
	changes := config.Changes(d.local, local)
	if !moved {
		d.local = local
	}
	d.mu.Unlock()
	if moved {
		d.log.Error("name, scope, namespace and data_dir cannot change while the agent runs; the configuration in force stays: restart the agent")
		return
	}
	d.reloadLog(local)
	d.tellChanges(changes)
	d.renewCredentials()
	ctx, cancel := context.WithTimeout(context.Background(), reloadTimeout)
	defer cancel()
	d.reloadServer(local)
	if err := d.peers.client.Renew(clientOptions(local)); err != nil {
		d.log.Error("the members are called with the old settings", "err", err)
	}
	if err := d.right.reload(local); err != nil {
		d.log.Error("the heartbeat connections keep their settings", "err", err)
	}
	if err := d.api.Reload(ctx, d.apiOptions(local)); err != nil {
		d.log.Error("the REST API could not be reloaded", "err", err)
	}
	d.log.Info("configuration reloaded", "path", d.options.Path)
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
func (d *Daemon) reloadServer(local *config.Config) {
	ctx, cancel := context.WithTimeout(context.Background(), reloadTimeout)
	defer cancel()
	if err := d.hands.reload(ctx, local, d.agent.Latest().Observation.Store.Dynamic); err != nil {
		d.log.Error("PostgreSQL could not be reloaded", "err", err)
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
