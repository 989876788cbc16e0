// Package daemon joins the parts of one node: the store, the server, the agent
// and the REST API. It holds the order in which they start and stop, and takes no
// decision about the cluster.
//
// Start: the look at the API's port, the guard and what an earlier life has left with
// it, the store (the embedded server first), the look for a member of the same name,
// the API, the agent. Where a lead was left, the agent goes on with it at once, and
// the store is opened beside it: a restart must not pause the server, also while the
// store is away. Stop, in reverse: the API (peers see the node as gone), the agent (it
// stops PostgreSQL and gives up the key), the store.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"matriarch/internal/agent"
	"matriarch/internal/api"
	"matriarch/internal/api/client"
	"matriarch/internal/boottime"
	"matriarch/internal/callback"
	"matriarch/internal/cluster"
	"matriarch/internal/config"
	"matriarch/internal/dcs/embedded"
	"matriarch/internal/logs"
	"matriarch/internal/postgres"
)

// Options are what the process knows beside its configuration.
type Options struct {
	Path    string   // of the configuration, to read it again
	Environ []string // as it was at the start
	Product string   // name and version, for the Server header
	Log     *slog.Logger
	Journal *Log // where Log goes, for its reload; nil: it is the caller's
}

// Daemon is one node.
type Daemon struct {
	options Options
	log     *slog.Logger
	clock   boottime.Clock
	hands   *hands
	right   *right
	store   *lateStore
	etcd    *embedded.Server // nil: the store is elsewhere, or not open yet
	agent   *agent.Agent
	api     *api.Server
	peers   peers
	rounds  sync.WaitGroup // of questions in failsafe mode
	times   *storeTimes
	tally   *tally
	calls   *callback.Runner
	told    *chronicle
	reloads chan struct{} // a reload is asked for

	mu          sync.Mutex
	local       *config.Config
	effective   config.Effective
	credentials credentialed // nil: the store asks for none, or is not open yet
	reloaded    api.Reloaded // by the last reload
}

// Run runs the node until it is told to end: by SIGTERM or SIGINT, by ctx, or
// because it cannot go on, which is the error, and in the log: whoever looks after an
// agent that does not start looks there.
func Run(ctx context.Context, local *config.Config, options Options) error {
	err := run(ctx, local, options)
	if err != nil {
		options.Log.Log(ctx, logs.Off, err.Error())
	}
	return err
}

func run(ctx context.Context, local *config.Config, options Options) (err error) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)

	for _, text := range unusedLocal(local) {
		options.Log.Warn("configuration: " + text)
	}
	d := &Daemon{options: options, log: options.Log, clock: boottime.NewClock(), local: local,
		times: newStoreTimes(), tally: newTally(), reloads: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopEarly := d.whileStarting(signals, cancel)

	dynamic, err := firstDynamic(local)
	if err != nil {
		d.log.Warn("the bootstrap section's configuration is used", "err", err)
	}
	if err := d.makeServer(ctx, local, dynamic); err != nil {
		stopEarly()
		return err
	}
	defer d.rounds.Wait()
	d.calls = callback.New(postgres.ChildEnvironment(), d.log)
	defer d.endCallbacks()
	defer d.hands.close()
	defer cancel() // before the hands are waited for: their work ends with it

	d.store = newLateStore()
	d.told = newChronicle(d.store, d.log)
	defer d.closeStore()
	err = d.begin(ctx, local, dynamic)
	early := stopEarly()
	switch {
	case early || ctx.Err() != nil:
		return nil // told to end before there was anything to bring to rest
	case err != nil:
		return err
	}
	return d.serve(ctx, signals)
}

// begin makes the parts in their order.
func (d *Daemon) begin(ctx context.Context, local *config.Config, dynamic map[string]any) error {
	asking, err := client.New(clientOptions(local))
	if err != nil {
		return err
	}
	d.peers = peers{asking}
	// The guard serves whoever came last, so a second agent of this node, started by
	// mistake, has to be found out before.
	if err := api.Vacant(ctx, local.RestAPI.Listen.Addresses()[0].String()); err != nil {
		return err
	}
	if err := d.makeRight(ctx, dynamic); err != nil {
		return err
	}
	if !d.right.goesOn {
		if err := d.openStore(ctx, local); err != nil {
			return err
		}
		if err := d.refuseTwin(ctx); err != nil {
			return err
		}
	}
	return d.makeAPI(ctx, dynamic)
}

// whileStarting ends the start on a signal. The function that it returns hands the
// signals back and reports whether one came.
func (d *Daemon) whileStarting(signals chan os.Signal, cancel context.CancelFunc) func() bool {
	done := make(chan struct{})
	var wait sync.WaitGroup
	ended := false
	wait.Go(func() {
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				if s == syscall.SIGHUP {
					continue // everything is being read anyway
				}
				d.log.Info("told to end while starting", "signal", s.String())
				ended = true
				cancel()
				return
			}
		}
	})
	var once sync.Once
	return func() bool {
		once.Do(func() { close(done); wait.Wait() })
		return ended
	}
}

// makeServer makes the hands on PostgreSQL.
func (d *Daemon) makeServer(ctx context.Context, local *config.Config, dynamic map[string]any) error {
	e, problems := config.Combine(dynamic, local)
	for _, p := range problems {
		d.log.Warn("dynamic configuration: " + p.String())
	}
	d.effective = e
	postgres.TakeUmask(e.Postgresql.DataDir)
	pg := postgres.New(serverConfig(local, e.Postgresql), d.log, d.clock.Now)
	if err := pg.Check(ctx); err != nil {
		return fmt.Errorf("check PostgreSQL: %w", err)
	}
	k, w := newKeeper(e.Postgresql.DataDir, giveUp(dynamic, e), d.log), newWarden(watchdogSettings(local, e), d.log)
	d.hands = newHands(ctx, pg, k, w, local, d.log, d.clock)
	d.hands.effective = d.accept
	return nil
}

// accept takes over a new effective configuration.
func (d *Daemon) accept(e config.Effective) {
	d.mu.Lock()
	d.effective = e
	me := identity(d.local, e)
	a := d.agent
	d.mu.Unlock()
	if a != nil {
		a.Reconfigure(me)
	}
}

// twinTimeout is how long another agent of our name has to answer (B-740).
const twinTimeout = 3 * time.Second

// refuseTwin ends the start when another live agent has our name: both would
// believe the leader key theirs (B-945).
func (d *Daemon) refuseTwin(ctx context.Context) error {
	snapshot, err := d.store.Read(ctx)
	if err != nil {
		return fmt.Errorf("read the cluster from the store: %w", err)
	}
	m, ok := snapshot.View().Member(d.local.Name)
	if !ok || m.APIURL == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, twinTimeout)
	defer cancel()
	if _, err := d.peers.client.Do(ctx, "GET", m.APIURL, "liveness", nil); err != nil {
		return nil // nobody there: it is our own earlier life
	}
	// Patroni's words, for those who look for them in the log.
	return fmt.Errorf("join the cluster: Can't start; there is already a node named '%s' running: it answers at %s", d.local.Name, m.APIURL)
}

// makeRight joins what keeps this node's right to write.
func (d *Daemon) makeRight(ctx context.Context, dynamic map[string]any) (err error) {
	settings, _, err := cluster.ReadSettings(dynamic)
	if err != nil {
		settings = cluster.DefaultSettings() // said when the configuration was combined
	}
	d.right, err = newRight(ctx, d.local, d.effective, settings.Permit, d.store, d.hands.keeper, d.hands.warden, d.clock, d.log)
	return err
}

// makeAPI makes the agent and binds the API's port.
func (d *Daemon) makeAPI(ctx context.Context, dynamic map[string]any) error {
	carrier := &failsafe{base: ctx, wait: &d.rounds, client: d.peers.client, right: d.right, log: d.log}
	a := agent.New(agent.Config{
		Me: identity(d.local, d.effective), Dynamic: dynamic, Store: d.store, Server: d.hands, Right: d.right, Peers: d.peers, Failsafe: carrier, Callbacks: herald{d},
		Logger: d.log, Now: d.clock.Now, Wall: time.Now, Saw: d.told.saw,
	})
	d.mu.Lock()
	d.agent = a
	d.mu.Unlock()
	n := &node{scope: d.local.Scope, agent: a, hands: d.hands, right: d.right, store: d.store, times: d.times, tally: d.tally, told: d.told, reload: d.askReload, reloaded: d.lastReload}
	server, err := api.New(ctx, d.apiOptions(d.local), n, d.peers.client)
	if err != nil {
		return err
	}
	d.api = server
	return server.Listen(ctx)
}

func (d *Daemon) apiOptions(c *config.Config) api.Options {
	r := c.RestAPI
	return api.Options{
		Listen: r.Listen.Addresses()[0].String(), Version: Version, Product: d.options.Product, Now: d.clock.Now, Log: d.log,
		Access: api.Access{Username: r.Username, Password: r.Password.Reveal(), Allowlist: r.Allowlist, IncludeMembers: r.AllowlistIncludeMembers},
		TLS: api.TLSFiles{CertFile: r.CertFile, KeyFile: r.KeyFile, KeyPassword: r.KeyFilePassword.Reveal(),
			CAFile: r.CAFile, Verify: r.VerifyClient, Ciphers: r.Ciphers},
		Heartbeats:   d.right.receiver,
		ServerTokens: r.ServerTokens, Headers: r.HTTPExtraHeaders, HTTPSHeaders: r.HTTPSExtraHeaders,
	}
}

// clientOptions are how this node speaks to the other members.
func clientOptions(c *config.Config) client.Options {
	return client.Options{
		Username: c.Ctl.Username, Password: c.Ctl.Password.Reveal(), CACert: c.Ctl.CACert, CertFile: c.Ctl.CertFile,
		KeyFile: c.Ctl.KeyFile, KeyPassword: c.Ctl.KeyFilePassword.Reveal(),
		Insecure:  true, // members are known by the store, as in Patroni (compat/config.md §2.4)
		UserAgent: "Patroni/" + Version,
	}
}

// serve runs the node until it is at rest.
func (d *Daemon) serve(ctx context.Context, signals <-chan os.Signal) error {
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	var wait sync.WaitGroup
	apiEnded, agentEnded := make(chan error, 1), make(chan error, 1)
	// The right to write outlives the agent: a release is repeated until the store
	// has confirmed it.
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	wait.Go(func() { d.right.Run(keeping) })
	wait.Go(func() { _ = d.hands.warden.dog.Run(keeping) }) // it has no error
	wait.Go(func() { apiEnded <- d.api.Run(serving) })
	wait.Go(func() {
		agentEnded <- d.agent.Run(ctx)
		stopKeeping()
	})
	wait.Go(func() { d.tally.watch(serving, d.agent) })
	wait.Go(func() { d.told.run(keeping) })
	wait.Go(func() {
		if d.right.goesOn {
			d.openLate(serving)
		}
		if d.etcd != nil {
			d.keepEtcdLead(serving, d.etcd)
		}
	})
	defer wait.Wait()
	d.notify(systemd.SdNotifyReady)
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGHUP {
				d.reload()
				continue
			}
			d.log.Info("told to end", "signal", s.String())
			d.notify(systemd.SdNotifyStopping)
			stopServing() // peers now see this node as gone
			d.agent.Stop()
		case <-d.reloads:
			d.reload()
		case err := <-apiEnded:
			if err != nil && serving.Err() == nil {
				d.log.Error("the REST API ended; the node is brought to rest", "err", err)
				d.agent.Stop()
			}
			apiEnded = nil
		case err := <-agentEnded:
			stopServing()
			var quit *agent.Quit
			if errors.As(err, &quit) || ctx.Err() == nil {
				return err
			}
			return nil
		}
	}
}

func (d *Daemon) notify(state string) {
	if _, err := systemd.SdNotify(false, state); err != nil {
		d.log.Warn("systemd could not be notified", "err", err)
	}
}

// monotonicMicros is CLOCK_MONOTONIC, which systemd wants with RELOADING=1
// (sd_notify(3)).
func monotonicMicros() int64 { return boottime.Monotonic().Microseconds() }
