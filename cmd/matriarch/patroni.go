package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"matriarch/internal/config"
	"matriarch/internal/ctl"
	"matriarch/internal/daemon"
	"matriarch/internal/generate"
)

const patroniUsage = `usage: patroni [-h] [--version] [--validate-config | --generate-sample-config | --generate-config]
               [--dsn DSN] [--ignore-listen-port] [--print]
               [configfile]
`

const patroniHelp = patroniUsage + `
positional arguments:
  configfile            Patroni may also read the configuration from the PATRONI_CONFIGURATION environment variable

options:
  -h, --help            show this help message and exit
  --version             show program's version number and exit
  --validate-config     Run config validator and exit
  --generate-sample-config
                        Generate a sample configuration file for the installed PostgreSQL
  --generate-config     Generate a configuration file that describes a running PostgreSQL
  --dsn DSN             Optional DSN string of the instance to be used as a source for config generation
  -i, --ignore-listen-port
                        Ignore listen ports already in use when --validate-config is used
  -p, --print           Print out local configuration as YAML when --validate-config is used

exit codes:
  0  it was told to end, and the node is at rest; what was asked for is done, or valid
  1  it could not start, or not go on; it failed, or is not valid
  2  the command line is wrong
  5  it ended in order, but could not write its log to the end
`

// patroniOptions are the options of patroni's command line.
type patroniOptions struct {
	help, version, validate, sample, generate, ignorePort, print bool
	path, dsn                                                    string
}

// patroni is the program that systemd units and container images call.
func (p process) patroni(args []string) int {
	o, err := parsePatroni(args)
	switch {
	case err != nil:
		fmt.Fprintf(p.err, "%spatroni: error: %v\n", patroniUsage, err)
		return ctl.ExitUsage
	case o.help:
		fmt.Fprint(p.out, patroniHelp)
		return 0
	case o.version:
		fmt.Fprintf(p.out, "patroni %s\n", daemon.Version)
		return 0
	case o.sample, o.generate:
		ctx, stop := interruptible(context.Background())
		defer stop()
		if err := p.generate(ctx, generate.Options{Sample: o.sample, DSN: o.dsn, File: o.path}); err != nil {
			fmt.Fprintln(p.err, err)
			return 1
		}
		return 0
	case o.validate:
		return p.validateConfig(o)
	}
	err = p.agent(context.Background(), o.path, product())
	if p.notRead(err) {
		return 1
	}
	if err != nil && !isLogged(err) {
		fmt.Fprintf(p.err, "patroni: %v\n", err)
	}
	return agentCode(err, 1)
}

// notRead tells in Patroni's words of a configuration that is none (compat/config.md
// §1.1).
func (p process) notRead(err error) bool {
	var list *config.NotMap
	switch {
	case errors.Is(err, config.ErrEmpty):
		fmt.Fprintln(p.err, "Config is empty.")
	case errors.As(err, &list):
		fmt.Fprintf(p.err, "%s does not contain a dict\ninvalid config file %s\n", list.File, list.File)
	default:
		return false
	}
	return true
}

// exitLogStuck says that the agent ended in order, but could not write its log to
// the end (compat/config.md §7.4).
const exitLogStuck = 5

// agentCode is the exit code of an agent that ended with err; other if that is
// nothing special.
func agentCode(err error, other int) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, daemon.ErrLogStuck):
		return exitLogStuck
	}
	return other
}

func parsePatroni(args []string) (o patroniOptions, err error) {
	f := pflag.NewFlagSet("patroni", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.BoolVarP(&o.help, "help", "h", false, "")
	f.BoolVar(&o.version, "version", false, "")
	f.BoolVar(&o.validate, "validate-config", false, "")
	f.BoolVar(&o.sample, "generate-sample-config", false, "")
	f.BoolVar(&o.generate, "generate-config", false, "")
	f.BoolVarP(&o.ignorePort, "ignore-listen-port", "i", false, "")
	f.BoolVarP(&o.print, "print", "p", false, "")
	f.StringVar(&o.dsn, "dsn", "", "")
	err = f.Parse(args)
	var missing *pflag.NotExistError
	var valueless *pflag.ValueRequiredError
	switch {
	case errors.As(err, &missing):
		dashes := "--"
		if missing.GetSpecifiedShortnames() != "" {
			dashes = "-"
		}
		return o, fmt.Errorf("unrecognized arguments: %s%s", dashes, missing.GetSpecifiedName())
	case errors.As(err, &valueless):
		return o, fmt.Errorf("argument --%s: expected one argument", valueless.GetFlag().Name)
	case err != nil:
		return o, err
	case f.NArg() > 1:
		return o, fmt.Errorf("unrecognized arguments: %s", strings.Join(f.Args()[1:], " "))
	}
	var modes []string
	for _, m := range []struct {
		on   bool
		name string
	}{{o.validate, "--validate-config"}, {o.sample, "--generate-sample-config"}, {o.generate, "--generate-config"}} {
		if m.on {
			modes = append(modes, m.name)
		}
	}
	if len(modes) > 1 {
		return o, fmt.Errorf("argument %s: not allowed with argument %s", modes[1], modes[0])
	}
	o.path = f.Arg(0)
	return o, nil
}

// validateConfig prints one problem per line on stderr, in the shape that
// configuration tools read.
func (p process) validateConfig(o patroniOptions) int {
	ctx, stop := interruptible(context.Background())
	defer stop()
	c, report, err := config.Load(o.path, p.environ)
	if p.notRead(err) {
		return 1
	}
	if c == nil {
		fmt.Fprintln(p.err, err)
		return 1
	}
	problems := append(report.Problems, config.Inspect(ctx, c, config.InspectOptions{IgnoreListenPort: o.ignorePort})...)
	lines := config.ValidatorLines(problems)
	for _, line := range lines {
		fmt.Fprintln(p.err, line)
	}
	if len(lines) > 0 {
		return 1
	}
	if o.print {
		fmt.Fprint(p.out, ctl.YAML(c.Tree().JSON()))
	}
	return 0
}
