package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"matriarch/internal/config"
	"matriarch/internal/daemon"
)

const node = `scope: demo
name: node1
restapi: {listen: "127.0.110.31:8008", connect_address: "127.0.110.31:8008"}
etcd3: {hosts: "127.0.0.1:1"}
bootstrap:
  dcs: {ttl: 30}
postgresql:
  listen: 127.0.110.31:5432
  connect_address: 127.0.110.31:5432
  data_dir: /nonexistent/data
  bin_dir: /nonexistent/bin
  authentication:
    replication: {username: replicator, password: "s3cret"}
    superuser: {username: postgres, password: "s3cret"}
`

// call runs a program and returns what it printed, its exit code, and the files
// that an agent was started with.
func call(t *testing.T, agentError error, program string, args ...string) (out, errs string, code int, agents []string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := process{in: strings.NewReader(""), out: &stdout, err: &stderr, environ: []string{"HOME=/nonexistent"},
		agent: func(_ context.Context, path, product string) error {
			if product != "Matriarch/"+version {
				t.Errorf("product %q", product)
			}
			agents = append(agents, path)
			return agentError
		}}
	code = p.run(program, args)
	return stdout.String(), stderr.String(), code, agents
}

func file(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "patroni.yml")
	if err := os.WriteFile(name, []byte(node), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestAgentIsRun(t *testing.T) {
	name := file(t)
	for _, c := range []struct {
		program string
		args    []string
	}{{"matriarch", []string{"run", name}}, {"matriarch", []string{name}}, {"patroni", []string{name}}, {"mtr", []string{name}}} {
		if _, errs, code, agents := call(t, nil, c.program, c.args...); code != 0 || len(agents) != 1 || agents[0] != name {
			t.Errorf("%s %v: exit %d, agents %v: %s", c.program, c.args, code, agents, errs)
		}
		_, errs, code, _ := call(t, errors.New("no data directory"), c.program, c.args...)
		if code != 1 || !strings.Contains(errs, "no data directory") || strings.Contains(errs, "Usage") {
			t.Errorf("%s %v: exit %d: %s", c.program, c.args, code, errs)
		}
		if _, errs, code, _ := call(t, logged{errors.New("no data directory")}, c.program, c.args...); code != 1 || errs != "" {
			t.Errorf("%s %v: told twice: exit %d: %s", c.program, c.args, code, errs)
		}
		both := errors.Join(logged{errors.New("no data directory")}, daemon.ErrLogStuck)
		if _, errs, code, _ := call(t, both, c.program, c.args...); code != 5 || !strings.Contains(errs, daemon.ErrLogStuck.Error()) {
			t.Errorf("%s %v: with a log that is stuck: exit %d: %s", c.program, c.args, code, errs)
		}
	}
	if _, _, code, agents := call(t, nil, "patroni"); code != 0 || len(agents) != 1 || agents[0] != "" {
		t.Errorf("patroni reads the environment alone: exit %d, agents %v", code, agents)
	}
	for _, program := range []string{"patroni", "matriarch"} {
		if _, _, code, _ := call(t, fmt.Errorf("x: %w", daemon.ErrLogStuck), program, name); code != 5 {
			t.Errorf("%s: a log that is stuck: exit %d", program, code)
		}
	}
	if _, errs, code, _ := call(t, fmt.Errorf("x: %w", config.ErrEmpty), "patroni"); code != 1 || errs != "Config is empty.\n" {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct{ program, arg, want string }{
		{"patroni", "--version", "patroni 4.1.4\n"}, {"patronictl", "version", "patronictl version 4.1.4\n"},
	} {
		if out, errs, code, _ := call(t, nil, c.program, c.arg); out != c.want || errs != "" || code != 0 {
			t.Errorf("%s: %q, %q, exit %d", c.program, out, errs, code)
		}
	}
	for _, arg := range []string{"version", "--version"} {
		if out, _, code, _ := call(t, nil, "matriarch", arg); !strings.HasPrefix(out, "matriarch "+version+" (compatible with Patroni 4.1.4") || code != 0 {
			t.Errorf("%q, exit %d", out, code)
		}
	}
}

// TestCommands are patronictl's, under both names.
func TestCommands(t *testing.T) {
	for name := range strings.FieldsSeq("demote-cluster dsn edit-config failover flush history list pause promote-cluster query reinit reload remove restart resume " +
		"show-config switchover topology version") {
		for _, program := range []string{"patronictl", "matriarch"} {
			out, errs, code, _ := call(t, nil, program, name, "--help")
			if !strings.Contains(out, "\n  "+program+" "+name) || errs != "" || code != 0 {
				t.Errorf("%s %s: exit %d\n%s%s", program, name, code, out, errs)
			}
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		program, args, want string
		code                int
	}{
		{"patroni", "--bogus", "patroni: error: unrecognized arguments: --bogus\n", 2},
		{"patroni", "-x", "patroni: error: unrecognized arguments: -x\n", 2},
		{"patroni", "a b c", "patroni: error: unrecognized arguments: b c\n", 2},
		{"patroni", "--dsn", "patroni: error: argument --dsn: expected one argument\n", 2},
		{"patroni", "--validate-config --generate-config", "patroni: error: argument --generate-config: not allowed with argument --validate-config\n", 2},
		{"patroni", "--generate-sample-config --generate-config", "patroni: error: argument --generate-config: not allowed with argument --generate-sample-config\n", 2},
		{"patroni", "--generate-config --dsn host=/nonexistent", "Failed to establish PostgreSQL connection", 1},
		{"matriarch", "bogus", "Error: No such command 'bogus'.", 2},
		{"matriarch", "lst", "Did you mean 'list'?", 2},
		{"matriarch", "run", "Usage: matriarch run [OPTIONS] CONFIG_FILE\nTry 'matriarch run --help' for help.\n\nError: Missing argument 'CONFIG_FILE'.\n", 2},
		{"matriarch", "run a b", "Error: Got unexpected extra argument (b)\n", 2},
		{"matriarch", "list --bogus", "Error: No such option: --bogus\n", 2},
		{"patronictl", "run a", "Error: No such command 'run'.", 2},
	} {
		out, errs, code, agents := call(t, nil, c.program, strings.Fields(c.args)...)
		if !strings.Contains(errs, c.want) || out != "" || code != c.code || len(agents) > 0 {
			t.Errorf("%s %s: exit %d, %q\n%s", c.program, c.args, code, out, errs)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, c := range []struct{ program, args, want string }{
		{"matriarch", "", "Available Commands"}, {"matriarch", "--help", "completion"}, {"matriarch", "help list", "matriarch list -c /etc/patroni.yml"},
		{"matriarch", "list --help", "--timeout"}, {"patroni", "-h", "--validate-config"}, {"patronictl", "", "switchover"},
		{"patronictl", "list --help", "patronictl list -c /etc/patroni.yml"}, {"matriarch", "completion bash", "bash completion"},
	} {
		if out, errs, code, _ := call(t, nil, c.program, strings.Fields(c.args)...); !strings.Contains(out, c.want) || errs != "" || code != 0 {
			t.Errorf("%s %s: exit %d\n%s%s", c.program, c.args, code, out, errs)
		}
	}
}

// TestEveryCommandTellsItsExitCodes: whoever writes a script asks the program.
func TestEveryCommandTellsItsExitCodes(t *testing.T) {
	for _, program := range []string{"matriarch", "patronictl"} {
		top, _, _, _ := call(t, nil, program, "--help")
		paths := [][]string{{}}
		for len(paths) > 0 {
			path := paths[0]
			paths = paths[1:]
			out, errs, code, _ := call(t, nil, program, append(slices.Clone(path), "--help")...)
			if code != 0 || errs != "" || strings.Count(out, "\nExit codes:\n  0  ") != 1 || !strings.Contains(out, "\n  2  the command line is wrong\n") {
				t.Errorf("%s %v: exit %d\n%s%s", program, path, code, out, errs)
			}
			_, list, _ := strings.Cut(out, "Available Commands:\n")
			for line := range strings.Lines(list) {
				name, _, found := strings.Cut(strings.TrimPrefix(line, "  "), " ")
				if !found || name == "" {
					break
				}
				paths = append(paths, append(slices.Clone(path), name))
			}
		}
		if refuses := strings.Contains(top, "\n  3  a member refused"); refuses != (program == "matriarch") {
			t.Errorf("%s says otherwise what it does when a member refuses:\n%s", program, top)
		}
	}
	if out, _, _, _ := call(t, nil, "patroni", "--help"); !strings.Contains(out, "\nexit codes:\n  0  ") {
		t.Errorf("patroni:\n%s", out)
	}
}

func TestValidate(t *testing.T) {
	name := file(t)
	out, errs, code, _ := call(t, nil, "matriarch", "validate", "-i", name)
	for _, want := range []string{"127.0.0.1:1", "/nonexistent/bin"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not in\n%s", want, out)
		}
	}
	if !strings.HasPrefix(errs, "Error: "+name+" is not usable") || code != 1 || strings.Contains(out+errs, "s3cret") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	out, errs, code, _ = call(t, nil, "patroni", "--validate-config", "-i", name)
	if !strings.Contains(errs, " 127.0.0.1:1 didn't pass validation: 127.0.0.1:1 is not reachable\n") || out != "" || code != 1 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	list := filepath.Join(t.TempDir(), "list.yml")
	if err := os.WriteFile(list, []byte("- a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code, _ := call(t, nil, "patroni", "--validate-config", list); code != 1 || errs != list+" does not contain a dict\ninvalid config file "+list+"\n" {
		t.Errorf("a list: exit %d, %q", code, errs)
	}
	if _, errs, code, _ := call(t, nil, "patroni", "--validate-config", filepath.Join(t.TempDir(), "missing.yml")); code != 1 || errs != "Config is empty.\n" {
		t.Errorf("no file: exit %d, %q", code, errs)
	}
	for _, program := range []string{"matriarch validate", "patroni --validate-config"} {
		words := strings.Fields(program)
		if _, errs, code, _ := call(t, nil, words[0], words[1], filepath.Join(t.TempDir(), "missing.yml")); code != 1 || errs == "" {
			t.Errorf("%s of no file: exit %d, %q", program, code, errs)
		}
	}
}
