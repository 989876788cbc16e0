// Package demo shows on one machine what a cluster does when the primary's node
// is lost: three agents, each a process of its own with a part of the store inside,
// a client that writes all the while, a SIGKILL, and the way back.
//
// It is an outsider: it starts agents as an operator would, watches the store, and
// asks servers as a client. It takes no decision and touches no data directory.
//
// Everything it makes is in one directory and everything it starts is its
// descendant; both are gone when Run returns, however it returns.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// Options are the choices of the person who runs the demonstration.
type Options struct {
	Once   bool   // end after the story instead of keeping the cluster
	JSON   bool   // print the result as one JSON object on Out
	Keep   bool   // leave the directory with data and logs
	BinDir string // PostgreSQL's programs; empty: the newest that is found
	Parent string // where the directory is made; empty: the system's place for such

	Out io.Writer // what a program reads: the JSON
	Say *os.File  // what a person reads: the story and the table
}

// Result is what was measured.
type Result struct {
	OutageMS         int64  `json:"outage_ms"` // last acknowledged row before to first after
	RejoinMS         int64  `json:"rejoin_ms"` // restart of the lost node's agent to streaming
	OldPrimary       string `json:"old_primary"`
	NewPrimary       string `json:"new_primary"`
	Timeline         uint32 `json:"timeline"`
	RowsAcknowledged int    `json:"rows_acknowledged"`
	RowsLost         int    `json:"rows_lost"` // acknowledged, and not on the new primary
}

// ErrInterrupted says that a person ended the demonstration before its end.
var ErrInterrupted = errors.New("interrupted before the failover and the rejoin were seen")

// Run shows the whole story. It returns nil only if failover and rejoin were seen,
// or if a person ended it who did not ask for them (Options.Once).
func Run(ctx context.Context, o Options) error {
	// The agents are told by the kernel when the thread that started them ends
	// (PR_SET_PDEATHSIG counts threads, not processes), so this one must stay.
	runtime.LockOSThread()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hurry, hurryUp := context.WithCancel(context.Background())
	defer hurryUp()
	stopListening := make(chan struct{})
	defer close(stopListening)
	go func() { // ended by the close above
		for _, end := range []func(){cancel, hurryUp} {
			select {
			case <-signals:
				end()
			case <-stopListening:
				return
			}
		}
	}()

	d, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	err = d.perform(ctx)
	interrupted := ctx.Err() != nil
	if err != nil && !interrupted {
		d.tellLogs()
	}
	stopErr := d.stop(hurry, err != nil && !interrupted)
	switch {
	case interrupted && o.Once:
		return errors.Join(ErrInterrupted, stopErr)
	case interrupted:
		return stopErr
	}
	return errors.Join(err, stopErr)
}

// prepare finds what is needed and makes the directory with the nodes' files.
func prepare(ctx context.Context, o Options) (*demo, error) {
	owner, err := findOwner()
	if err != nil {
		return nil, err
	}
	binaries, err := findBinaries(ctx, o.BinDir)
	if err != nil {
		return nil, err
	}
	if err := becomeSubreaper(); err != nil {
		return nil, err
	}
	l, err := newLayout(o.Parent, owner, binaries)
	if err != nil {
		return nil, err
	}
	d := &demo{options: o, layout: l, screen: newScreen(o.Say), fallen: make(chan *node, nodeCount)}
	for i := range nodeCount {
		d.nodes = append(d.nodes, &node{name: l.name(i), layout: l, number: i})
	}
	d.began = time.Now()
	d.screen.Say(fmt.Sprintf("PostgreSQL %s from %s; everything is in %s", binaries.version, binaries.dir, l.dir))
	return d, nil
}

// demo is one demonstration under way.
type demo struct {
	options Options
	layout  *layout
	nodes   []*node
	screen  *screen
	began   time.Time
	result  Result

	told   atomic.Bool // the story, to its end
	fallen chan *node  // nodes whose agent ended after that; never full
}

// stopPatience bounds the orderly end of all nodes; what is left is killed.
const stopPatience = 30 * time.Second

// stop ends all nodes, removes what was made, and leaves no process. The logs of a
// failure stay. A second signal ends the patience.
func (d *demo) stop(hurry context.Context, failed bool) error {
	ctx, cancel := context.WithTimeout(hurry, stopPatience)
	defer cancel()
	d.screen.Say("stopping the nodes")
	d.stopNodes(ctx)
	d.screen.Close()
	left := killDescendants(context.WithoutCancel(ctx))
	err := d.layout.close(d.options.Keep, failed)
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("%d processes could not be ended", left))
	}
	switch {
	case d.options.Keep:
		d.screen.Say("kept: " + d.layout.dir)
	case failed:
		d.screen.Say("the logs are kept: " + d.layout.logs())
	}
	return err
}

// stopNodes ends the standbys first, so that nobody takes over from the primary
// that is going to be stopped too.
func (d *demo) stopNodes(ctx context.Context) {
	for _, last := range []bool{false, true} {
		var stopped []*node
		for _, n := range d.nodes {
			if (n.name == d.primaryName()) == last && n.running() {
				n.terminate()
				stopped = append(stopped, n)
			}
		}
		for _, n := range stopped {
			select {
			case <-n.ended:
			case <-ctx.Done():
			}
		}
	}
}

func (d *demo) primaryName() string {
	if d.result.NewPrimary != "" {
		return d.result.NewPrimary
	}
	return d.result.OldPrimary
}

// printJSON writes the one line that a program reads.
func (d *demo) printJSON() error {
	if err := json.NewEncoder(d.options.Out).Encode(d.result); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}
