package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"matriarch/internal/ctl"
	"matriarch/internal/generate"
)

// generate writes a configuration to begin with. Only a terminal is asked for a
// password.
func (p process) generate(ctx context.Context, o generate.Options) error {
	o.Out, o.Environ = p.out, p.environ
	if in, ok := p.in.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		o.Password = func(prompt string) (string, error) {
			fmt.Fprint(p.err, prompt)
			password, err := term.ReadPassword(int(in.Fd()))
			fmt.Fprintln(p.err)
			return string(password), err
		}
	}
	return generate.Run(ctx, o)
}

// generateCommand is config generate.
func (p process) generateCommand() *cobra.Command {
	var o generate.Options
	cmd := &cobra.Command{
		Use:   "generate [FILE]",
		Short: "Write a configuration to begin with, for a server that runs or for a new one",
		Long: "Write a configuration that describes a running PostgreSQL, so that it can be taken over: its settings,\n" +
			"addresses, directories, pg_hba.conf. With --sample, one for a new cluster with the installed PostgreSQL.\n" +
			"What cannot be known is #FIXME in the file; PATRONI_* variables are taken into it. The file holds the\n" +
			"password, so only its owner can read it.",
		Example: "  matriarch config generate --dsn \"host=/var/run/postgresql user=postgres\" /etc/patroni.yml\n" +
			"  matriarch config generate --sample /etc/patroni.yml",
	}
	ctl.Codes(cmd, "written; look for #FIXME in it", "the server does not answer, or the file cannot be written", wrongLine)
	cmd.Flags().BoolVar(&o.Sample, "sample", false, "for a new cluster, not for a server that runs")
	cmd.Flags().StringVar(&o.DSN, "dsn", "", "of the running server; libpq's variables (PGHOST …) fill what it leaves out")
	cmd.Args = cobra.MaximumNArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			o.File = args[0]
		}
		return p.generate(cmd.Context(), o)
	}
	return cmd
}
