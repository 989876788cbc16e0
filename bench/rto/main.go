// Command rto measures how long writes stop, and how long two nodes take them at
// once, when things happen to the leader of a cluster: with Matriarch and with
// Patroni, one after the other, in the same network of namespaces.
//
//	go run ./bench/rto                           everything, a few hours
//	go run ./bench/rto -system matriarch -setups guide -cases node-loss,partition -runs 3
//	go run ./bench/rto -system none              only writes the page again
//
// It needs root, PostgreSQL, etcd, iproute2 and, for Patroni, Patroni. What is
// measured is kept in a JSON file (-json), case by case; a case that is measured
// again takes the place of its earlier figures, and the page (-out) is written from
// all of the file. See docs/benchmarks.md for the method.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"matriarch/bench/rto/cases"
	"matriarch/bench/rto/cluster"
	"matriarch/bench/rto/report"
	"matriarch/bench/rto/world"
)

func main() {
	code, err := run()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "rto:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

type options struct {
	system, setups, cases string
	runs                  int
	out, json             string
	keep, resume          bool
	others                float64
	programs              cluster.Programs
}

func parse() (options, error) {
	var o options
	flag.StringVar(&o.system, "system", "both", "matriarch, patroni, both, or none: write the page from the file only")
	flag.StringVar(&o.setups, "setups", "", "names of the configurations, by commas (default: all of the system)")
	flag.StringVar(&o.cases, "cases", "", "names of the cases, by commas (default: all)")
	flag.IntVar(&o.runs, "runs", 5, "measurements of each case")
	flag.StringVar(&o.out, "out", "docs/benchmarks.md", "the page to write")
	flag.StringVar(&o.json, "json", "bench/rto/results.json", "the file that keeps what was measured")
	flag.BoolVar(&o.resume, "resume", false, "keep what the file has of the same versions, and measure what is missing up to -runs")
	flag.Float64Var(&o.others, "others", 0.25, "share of the processors that other programs may use meanwhile; runs with more are repeated")
	flag.BoolVar(&o.keep, "keep", false, "keep the directory of the run, with all logs")
	flag.StringVar(&o.programs.Patroni, "patroni", "/usr/bin/patroni", "Patroni's program, or a directory with its source tree")
	flag.StringVar(&o.programs.Matriarch, "matriarch", "", "Matriarch's program (default: built from the module here)")
	flag.StringVar(&o.programs.PostgreSQL, "postgresql", "/usr/lib/postgresql/15/bin", "directory of PostgreSQL's programs")
	flag.Parse()
	if flag.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if !slices.Contains([]string{"matriarch", "patroni", "both", "none"}, o.system) {
		return o, fmt.Errorf("unknown system %q", o.system)
	}
	for _, name := range split(o.cases) {
		if !slices.ContainsFunc(cases.All(), func(c cases.Case) bool { return c.Name == name }) {
			return o, fmt.Errorf("unknown case %q", name)
		}
	}
	for _, name := range split(o.setups) {
		if !slices.ContainsFunc(cluster.Setups(), func(s cluster.Setup) bool { return s.Name == name }) {
			return o, fmt.Errorf("unknown configuration %q", name)
		}
	}
	return o, nil
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

func run() (int, error) {
	if world.MyRole() == world.InNode {
		return 0, world.RunNode()
	}
	o, err := parse()
	switch {
	case err != nil:
		return 2, err
	case world.MyRole() == world.Inside:
		return 0, inside(o)
	case o.system == "none":
		return 0, page(o)
	case os.Geteuid() != 0:
		return 1, errors.New("must be root: it makes namespaces, and runs the nodes as user postgres")
	}
	// Built outside, where there may be a network to fetch modules from.
	if o.programs.Matriarch == "" && o.system != cluster.Patroni {
		dir, err := os.MkdirTemp("", "rto-build-")
		if err != nil {
			return 1, err
		}
		defer os.RemoveAll(dir)
		program := filepath.Join(dir, "matriarch")
		if err := build(program); err != nil {
			return 1, err
		}
		os.Args = append(os.Args, "-matriarch="+program)
	}
	return world.Enter(o.keep)
}

// build builds Matriarch, with the commit as its version.
func build(program string) error {
	flags := ""
	if version, err := exec.Command("git", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
		flags = "-X main.version=" + strings.TrimSpace(string(version))
	}
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", flags, "-o", program, "matriarch/cmd/matriarch").CombinedOutput(); err != nil {
		return fmt.Errorf("build matriarch: %w: %s", err, out)
	}
	return nil
}

// inside measures, as the first process of the world.
func inside(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	w, err := world.New(ctx)
	if err != nil {
		return err
	}
	var setups []cluster.Setup
	var systems []string
	for _, s := range cluster.Setups() {
		if (o.system == "both" || o.system == s.System) && (o.setups == "" || slices.Contains(split(o.setups), s.Name)) {
			setups = append(setups, s)
			systems = append(systems, s.System)
		}
	}
	if err := o.programs.Find(ctx, w.Dir, slices.Compact(systems)...); err != nil {
		return err
	}
	for _, s := range setups {
		if err := measure(ctx, o, w, s, log); err != nil {
			return fmt.Errorf("%v: %w", s, err)
		}
	}
	return page(o)
}

func page(o options) error {
	file, err := report.Read(o.json)
	if err != nil {
		return err
	}
	var headings []report.Heading
	for _, c := range cases.All() {
		headings = append(headings, report.Heading{Name: c.Name, Title: c.Title})
	}
	return report.Page(file, headings, o.out)
}
