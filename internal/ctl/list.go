package ctl

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var formats = []string{"pretty", "tsv", "json", "yaml", "yml"}

func formatFlag(f *pflag.FlagSet) *choice {
	format := &choice{value: "pretty", allowed: formats}
	f.VarP(format, "format", "f", "output format: pretty, tsv, json, yaml")
	return format
}

// in is the member table in one of the formats.
func (p picture) in(format string, extended, colours bool) string {
	if format == "pretty" {
		return p.pretty(extended, false, colours)
	}
	rows := p.rows(false)
	if format == "tsv" {
		return tsvRows(p.columns(rows, extended), rows)
	}
	return encodeRows(format, p.columns(rows, true), rows)
}

// encodeRows prints rows for machines.
func encodeRows(format string, columns []column, rows []row) string {
	switch format {
	case "json":
		return jsonRows(columns, rows)
	case "tsv":
		return tsvRows(columns, rows)
	}
	return yamlRows(rows)
}

// watch are the options that repeat a command.
type watch struct {
	on    bool
	every float64
}

func (w *watch) flags(f *pflag.FlagSet) {
	f.BoolVarP(&w.on, "auto-watch", "W", false, "auto-update the screen every 2 seconds")
	f.Float64VarP(&w.every, "watch", "w", 0, "auto-update the screen every X seconds")
}

// interval is the pause between two rounds, 0 for one round only.
func (w *watch) interval() time.Duration {
	switch {
	case w.every > 0:
		return time.Duration(w.every * float64(time.Second))
	case w.on:
		return 2 * time.Second
	}
	return 0
}

// repeat runs rounds until ctx ends, measured from start to start.
func (a *app) repeat(ctx context.Context, w watch, clear bool, round func() error) error {
	every := w.interval()
	if every == 0 {
		return round()
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if clear && a.colours(a.Out) {
			a.say("\x1b[2J\x1b[1;1H")
		}
		if err := round(); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errAborted
		}
	}
}

func (a *app) list() *cobra.Command {
	var extended, timestamp, full bool
	var w watch
	cmd := &cobra.Command{
		Use:     "list [CLUSTER_NAMES]...",
		Short:   "List the members of a cluster, who leads, and how far behind the others are",
		Example: "  list -c /etc/patroni.yml\n  list -c /etc/patroni.yml -W\n  list -c /etc/patroni.yml -f json",
	}
	group := groupFlag(cmd.Flags())
	cmd.Flags().BoolVarP(&extended, "extended", "e", false, "show all columns, also empty ones")
	cmd.Flags().BoolVar(&full, "full", false, "all that is known, with lags in bytes, as one JSON (or YAML) document per cluster")
	cmd.Flags().BoolVarP(&timestamp, "timestamp", "t", false, "print a timestamp first")
	format := formatFlag(cmd.Flags())
	w.flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		return a.listing(cmd.Context(), names, group, w, func(p picture) string {
			switch {
			case full && strings.HasPrefix(format.value, "y"):
				return YAML(p.full()) + "\n"
			case full:
				return jsonText(p.full()) + "\n"
			}
			return p.in(format.value, extended, a.colours(a.Out))
		}, timestamp)
	}
	return cmd
}

func (a *app) topology() *cobra.Command {
	var w watch
	cmd := &cobra.Command{
		Use:     "topology [CLUSTER_NAMES]...",
		Short:   "Show who replicates from whom",
		Example: "  topology -c /etc/patroni.yml",
	}
	group := groupFlag(cmd.Flags())
	format := formatFlag(cmd.Flags())
	w.flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		return a.listing(cmd.Context(), names, group, w, func(p picture) string {
			if format.value != "pretty" {
				return p.in(format.value, false, false)
			}
			return p.pretty(false, true, a.colours(a.Out))
		}, false)
	}
	return cmd
}

// listing prints every named cluster, or that of the configuration, again and
// again if asked to. The stores stay open meanwhile.
func (a *app) listing(ctx context.Context, names []string, group *groupOption, w watch, show func(picture) string, timestamp bool) error {
	if len(names) == 0 {
		c, err := a.load()
		if err != nil {
			return err
		}
		if c.Scope == "" {
			a.warn("Listing members: No cluster names were provided")
			return nil
		}
		names = []string{c.Scope}
	}
	var sessions []*session
	for _, name := range names {
		s, err := a.open(ctx, name, group)
		if err != nil {
			return err
		}
		defer s.close()
		sessions = append(sessions, s)
	}
	return a.repeat(ctx, w, true, func() error {
		var out strings.Builder
		if timestamp {
			out.WriteString(a.Now().Local().Format(time.DateTime) + "\n")
		}
		for _, s := range sessions {
			p, err := s.read(ctx)
			if err != nil {
				return err
			}
			out.WriteString(show(p))
		}
		a.say("%s", out.String())
		return nil
	})
}

// warn prints a diagnostic in the form of patronictl's log.
func (a *app) warn(text string) {
	now := a.Now().Local()
	_, _ = a.Err.Write([]byte(now.Format("2006-01-02 15:04:05,000") + " - WARNING - " + text + "\n"))
}
