package main

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"matriarch/internal/config"
	"matriarch/internal/ctl"
	"matriarch/internal/daemon"
)

const about = `Matriarch keeps a PostgreSQL cluster available. One agent runs beside each
server; the agents agree through etcd on who leads; when the leader is lost, the
best standby takes over, and the old one comes back as a standby.

It reads Patroni's patroni.yml, speaks Patroni's REST API and keeps Patroni's keys
in etcd. Called as patroni or patronictl (a symlink), it is that program.`

// matriarch is the program under its own name.
func (p process) matriarch(args []string) int {
	root := &cobra.Command{
		Use:   "matriarch",
		Short: "High availability for PostgreSQL",
		Long:  about,
		Example: "  matriarch validate /etc/patroni.yml    is the configuration right?\n" +
			"  matriarch run /etc/patroni.yml         run the agent of this node\n" +
			"  matriarch list -c /etc/patroni.yml     the cluster: who leads, who follows how closely\n" +
			"  matriarch switchover -c /etc/patroni.yml",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return p.bare(cmd, args) },
	}
	root.Version = versionText()
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(p.runCommand(), p.validateCommand(), p.demoCommand())
	for _, c := range ctl.Commands(p.ctl(true), versionText()) {
		if c.Name() == "config" {
			c.AddCommand(p.generateCommand())
		}
		p.endOnSignals(c)
		root.AddCommand(c)
	}
	ctl.Codes(root, "done", "it failed, or a question was answered with no", wrongLine, "a member refused, or failed", "a member was not reached",
		"nobody can tell what came of it; of run: the log could not be written to its end")
	ctl.Finish(root, p.ctl(true))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		documented(c)
	}
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	if isLogged(err) {
		return agentCode(err, ctl.ExitFailed)
	}
	return agentCode(err, ctl.Exit(err, p.err))
}

// wrongLine is what exit code 2 of every command means.
const wrongLine = "the command line is wrong"

// documented gives the library's own commands, and those that only hold others, their
// exit codes.
func documented(c *cobra.Command) {
	if c.Annotations == nil {
		ctl.Codes(c, "done", "it failed", wrongLine)
	}
	for _, below := range c.Commands() {
		documented(below)
	}
}

// endOnSignals lets Ctrl-C end a command, and those below it.
func (p process) endOnSignals(c *cobra.Command) {
	do := c.RunE
	c.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := p.signals.context(cmd.Context())
		defer stop()
		cmd.SetContext(ctx)
		return do(cmd, args)
	}
	for _, below := range c.Commands() {
		p.endOnSignals(below)
	}
}

// bare is matriarch without a command: with a file it runs the agent.
func (p process) bare(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	if _, err := os.Stat(args[0]); err != nil || len(args) > 1 {
		return ctl.NoSuchCommand(cmd, args[0])
	}
	return p.agent(cmd.Context(), args[0], product())
}

func (p process) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run CONFIG_FILE",
		Short: "Run the agent of this node until it is told to end",
		Long: "Run the agent of this node. The configuration is a file, or a directory of *.yml files;\n" +
			"PATRONI_* variables are laid over it. SIGHUP reads it again. SIGTERM stops PostgreSQL and\n" +
			"hands the leadership over, unless the cluster is paused.",
		Example: "  run /etc/patroni.yml",
		Args:    exactly(1, "CONFIG_FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.agent(cmd.Context(), args[0], product())
		},
	}
	ctl.Codes(cmd, "it was told to end, and the node is at rest", "it could not start, or not go on: the last line of the log says why", wrongLine, "", "",
		"it ended in order, but could not write its log to the end")
	return cmd
}

// exactly wants one argument for each name.
func exactly(n int, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return ctl.Usage(cmd, "Missing argument '%s'.", names[len(args)])
		}
		if len(args) > n {
			return ctl.Usage(cmd, "Got unexpected extra argument (%s)", args[n])
		}
		return nil
	}
}

func (p process) validateCommand() *cobra.Command {
	var ignorePort, offline bool
	cmd := &cobra.Command{
		Use:   "validate CONFIG_FILE",
		Short: "Check a configuration: every fault at once, with its line",
		Long: "Check a configuration and what it needs of this machine: programs, directories, free ports, a\n" +
			"store that answers.",
		Example: "  validate /etc/patroni.yml\n  validate -i /etc/patroni.yml\n  validate --offline rendered/patroni.yml",
		Args:    exactly(1, "CONFIG_FILE"),
	}
	ctl.Codes(cmd, "the configuration can be used; there may be warnings", "it has faults, or cannot be read", wrongLine)
	cmd.Flags().BoolVar(&offline, "offline", false, "look at the file alone, not at this machine and the network: for files of another machine")
	cmd.Flags().BoolVarP(&ignorePort, "ignore-listen-port", "i", false, "do not ask for free ports: the node may be running")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := interruptible(cmd.Context())
		defer stop()
		c, report, err := config.Load(args[0], p.environ)
		if c == nil {
			return err
		}
		problems := report.Problems
		if !offline {
			problems = append(problems, config.Inspect(ctx, c, config.InspectOptions{IgnoreListenPort: ignorePort})...)
		}
		faults := 0
		for _, problem := range problems {
			fmt.Fprintln(p.out, problem)
			if problem.Severity == config.Error {
				faults++
			}
		}
		if faults > 0 {
			return fmt.Errorf("%s is not usable as it is; faults: %d", args[0], faults)
		}
		fmt.Fprintf(p.out, "%s is usable: node %s of cluster %s\n", args[0], c.Name, c.Scope)
		return nil
	}
	return cmd
}

// versionText is Matriarch's version, and that of Patroni whose surface it has.
func versionText() string {
	return fmt.Sprintf("matriarch %s (compatible with Patroni %s, %s, %s/%s)", version, daemon.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
