package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"matriarch/internal/config"
	"matriarch/internal/daemon"
)

// runAgent runs the agent of one node with the configuration at path, until it is
// told to end. All faults of the configuration are told at once.
func runAgent(ctx context.Context, path, product string) (err error) {
	environ := os.Environ()
	local, report, err := config.Load(path, environ)
	if err != nil {
		return err
	}
	// Scripts do not get to see what is ours, passwords among it (compat/config.md §4).
	// Reloads read the environment as it was.
	for _, name := range config.ConsumedVariables(environ) {
		if err := os.Unsetenv(name); err != nil {
			return fmt.Errorf("take %s out of the environment: %w", name, err)
		}
	}
	if os.Geteuid() == 0 {
		return errors.New("PostgreSQL does not run as root: run the agent as the user that owns the data directory, usually postgres")
	}
	journal, err := daemon.OpenLog(local, os.Stderr)
	if err != nil {
		return err
	}
	defer func() {
		if stuck := journal.Close(daemon.LogCloseTimeout); stuck != nil {
			err = errors.Join(err, stuck)
		}
	}()
	log := journal.Logger()
	for _, p := range report.Problems {
		log.Warn("configuration: " + p.String())
	}
	err = daemon.Run(ctx, local, daemon.Options{Path: path, Environ: environ, Product: product, Log: log, Journal: journal})
	switch {
	case err != nil && local.Log.Dir == "":
		return logged{err}
	case err != nil:
		return fmt.Errorf("agent of %s: %w", local.Name, err)
	}
	return nil
}

// logged is an error that standard error has already, as a line of the agent's log.
type logged struct{ error }

func (l logged) Unwrap() error { return l.error }

// isLogged tells whether there is nothing more to say of an error. One that was joined
// by another has more to say.
func isLogged(err error) bool {
	_, is := err.(logged)
	return is
}
