package ctl

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"matriarch/internal/cluster"
	"matriarch/internal/config"
	"matriarch/internal/store"
)

// configCommands are about one node's configuration. patronictl has no such command.
func (a *app) configCommands() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "What a node's configuration comes to",
		Args:  noSuchCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	explain := a.explain()
	a.globals(explain.Flags(), true)
	a.codes(explain)
	a.codes(cmd)
	cmd.AddCommand(explain)
	return cmd
}

// explaining is one call of config explain.
type explaining struct {
	*app
	format string
	all    bool
	name   string

	notes    []string
	pending  map[string][]waiting // by parameter
	settings []config.Setting
}

// waiting is a member that has to be restarted before a parameter counts there.
type waiting struct {
	Member   string
	Old, New string
}

func (a *app) explain() *cobra.Command {
	var e explaining
	cmd := &cobra.Command{
		Use:   "explain [PARAMETER]",
		Short: "Tell for each setting what is in force, where it comes from, what it overrode, and how to apply a change",
		Long: "Tell for each setting the value in force on the node of the configuration file, where it comes from\n" +
			"(file and line, environment variable, dynamic configuration, default), what it overrode and why, and what\n" +
			"it takes to apply a change. PARAMETER is a key (postgresql.listen), its last part (max_connections), or a\n" +
			"section (restapi). The dynamic configuration is read from the store; if that does not answer, from the file\n" +
			"that the node keeps in its data directory. Secrets are hidden.",
		Example: "  matriarch config explain -c /etc/patroni.yml\n  matriarch config explain max_connections -c /etc/patroni.yml\n" +
			"  matriarch config explain postgresql -c /etc/patroni.yml -f json",
		Args: atMost(1),
	}
	format := formatFlag(cmd.Flags())
	cmd.Flags().BoolVarP(&e.all, "all", "a", false, "also what nobody has set: the defaults")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e.app, e.format = a, format.value
		if len(args) > 0 {
			e.name = args[0]
		}
		return e.run(cmd.Context())
	}
	return cmd
}

func (e *explaining) run(ctx context.Context) error {
	c, err := e.load()
	if err != nil {
		return err
	}
	if c.Tree() == nil {
		return fail("no configuration: name a file with -c, or set PATRONI_* variables")
	}
	dynamic, err := e.dynamic(ctx, c)
	if err != nil {
		return err
	}
	settings, problems := config.Explain(c, dynamic)
	for _, p := range problems {
		if p.Severity == config.Error {
			e.notes = append(e.notes, fmt.Sprintf("the nodes refuse this dynamic configuration and keep what they had: %s %s", p.Path, p.Message))
		}
	}
	e.choose(settings)
	if len(e.settings) == 0 {
		return e.nothing()
	}
	for _, note := range e.notes {
		fmt.Fprintf(e.Err, "Note: %s\n", note)
	}
	e.print()
	return nil
}

// dynamic finds the dynamic configuration as a node does at its start: the store,
// the kept file, the bootstrap section.
func (e *explaining) dynamic(ctx context.Context, c *config.Config) (config.Dynamic, error) {
	view, key, err := e.stored(ctx, c)
	switch {
	case ctx.Err() != nil:
		return config.Dynamic{}, errAborted
	case err == nil && view.Config.Valid:
		return config.Dynamic{Document: view.Config.Document, Source: "the store, " + key}, nil
	case err != nil:
		e.notes = append(e.notes, fmt.Sprintf("%v", err))
	default:
		e.notes = append(e.notes, "the store has no dynamic configuration at "+key)
	}
	kept, err := config.Kept(c.Postgresql.DataDir)
	if err != nil {
		e.notes = append(e.notes, err.Error())
	}
	if kept != nil {
		file := c.Postgresql.DataDir + "/" + config.DynamicFile
		e.notes = append(e.notes, "the dynamic configuration is the one that the node keeps in "+file)
		return config.Dynamic{Document: kept, Source: file}, nil
	}
	e.notes = append(e.notes, "the dynamic configuration is that of the bootstrap section, as for a new cluster")
	return config.Dynamic{Document: c.Bootstrap.DCS, Source: "bootstrap.dcs", FromBootstrap: true}, nil
}

// stored reads the cluster, and notes who waits for a restart.
func (e *explaining) stored(ctx context.Context, c *config.Config) (cluster.View, string, error) {
	key := store.Prefix(c.Namespace, c.Scope) + "config"
	s, err := e.open(ctx, "", &groupOption{given: noGroup, configured: true})
	if err != nil {
		return cluster.View{}, key, err
	}
	defer s.close()
	p, err := s.read(ctx)
	if err != nil {
		return cluster.View{}, key, err
	}
	e.pending = map[string][]waiting{}
	for _, m := range p.view.Members {
		for _, name := range slices.Sorted(maps.Keys(m.PendingReason)) {
			change := m.PendingReason[name]
			e.pending[name] = append(e.pending[name], waiting{m.Name, change.Old, change.New})
		}
	}
	return p.view, key, nil
}

// choose keeps what was asked for: a key, a last part, or a section.
func (e *explaining) choose(settings []config.Setting) {
	for _, s := range settings {
		switch {
		case e.name == "":
			if e.all || s.Given() {
				e.settings = append(e.settings, s)
			}
		case strings.EqualFold(s.Key, e.name), strings.HasSuffix(strings.ToLower(s.Key), "."+strings.ToLower(e.name)),
			strings.HasPrefix(s.Key, e.name+"."):
			e.settings = append(e.settings, s)
		}
	}
}

// nothing answers for a name that no setting has.
func (e *explaining) nothing() error {
	if e.name == "" {
		return fail("the configuration sets nothing")
	}
	if text, known := config.Describe(e.name); known {
		return fail("%s is not set, and has no default (%s)", e.name, text)
	}
	return fail("nothing in the configuration sets %s: a parameter of PostgreSQL that is not listed keeps the server's own value, "+
		"which SHOW and pg_settings tell", e.name)
}
