package main

import (
	"os"

	"github.com/spf13/cobra"

	"matriarch/internal/ctl"
	"matriarch/internal/demo"
)

// demoCommand shows a cluster of three on this machine, and what it does when the
// primary's node is lost.
func (p process) demoCommand() *cobra.Command {
	o := demo.Options{Out: p.out, Say: os.Stdout}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a cluster of three on this machine, and how it survives the loss of its primary",
		Long: "Show what happens when the primary's node is lost: start three agents with PostgreSQL and the embedded\n" +
			"store on 127.0.0.1, let a client write, kill the primary's node by SIGKILL, and tell step by step what\n" +
			"follows. Then the cluster stays, to be tried, until Ctrl-C. All is in a temporary directory, which goes in\n" +
			"the end. PostgreSQL 13 or newer must be installed. As root, PostgreSQL runs as the user postgres.\n\n" +
			"With --once it ends after the story.",
		Example: "  demo\n  demo --once --json",
		Args:    exactly(0),
	}
	ctl.Codes(cmd, "failover and rejoin were seen", "they were not, or it was interrupted before", wrongLine)
	f := cmd.Flags()
	f.BoolVar(&o.Once, "once", false, "end after the story instead of keeping the cluster")
	f.BoolVar(&o.JSON, "json", false, "print the result as one JSON object; the story goes to standard error")
	f.BoolVar(&o.Keep, "keep", false, "leave the directory with data and logs")
	f.StringVar(&o.BinDir, "bin-dir", "", "directory of PostgreSQL's programs (default: the newest that is found)")
	f.StringVar(&o.Parent, "dir", "", "where to make the temporary directory (default: the system's)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.JSON && !o.Once {
			return ctl.Usage(cmd, "--json needs --once.")
		}
		if o.JSON {
			o.Say = os.Stderr
		}
		return demo.Run(cmd.Context(), o)
	}
	return cmd
}
