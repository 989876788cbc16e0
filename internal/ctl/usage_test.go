package ctl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUsageErrors(t *testing.T) {
	const list = "Usage: patronictl list [OPTIONS] [CLUSTER_NAMES]...\nTry 'patronictl list --help' for help.\n\nError: "
	for _, c := range []struct {
		args string
		want string
	}{
		{"list -f xml", list + "Invalid value for '--format' / '-f': 'xml' is not one of 'pretty', 'tsv', 'json', 'yaml', 'yml'.\n"},
		{"list --group x", list + "Invalid value for '--group': 'x' is not a valid integer.\n"},
		{"list --bogus", list + "No such option: --bogus\n"},
		{"list -x", list + "No such option: -x\n"},
		{"list --format", list + "Option '--format' requires an argument.\n"},
		{"list -f", list + "Option '-f' requires an argument.\n"},
		{"list -w x", list + "Invalid value for '-w' / '--watch': 'x' is not a valid float.\n"},
		{"bogus", "Usage: patronictl [OPTIONS] COMMAND [ARGS]...\nTry 'patronictl --help' for help.\n\nError: No such command 'bogus'.\n"},
		{"switchover harbor extra", "Usage: patronictl switchover [OPTIONS] [CLUSTER_NAME]\nTry 'patronictl switchover --help' for help.\n\nError: Got unexpected extra argument (extra)\n"},
		{"--bogus list", "Usage: patronictl [OPTIONS] COMMAND [ARGS]...\nTry 'patronictl --help' for help.\n\nError: No such option: --bogus\n"},
		{"query -f /no/such", "Usage: patronictl query [OPTIONS] [CLUSTER_NAME]\nTry 'patronictl query --help' for help.\n\nError: Invalid value for '--file' / '-f': '/no/such': No such file or directory\n"},
	} {
		out, errs, code := newWorld(t, harbor).run(strings.Fields(c.args)...)
		if errs != c.want || out != "" || code != 2 {
			t.Errorf("%s: got %q, exit %d\n%s\nwant\n%s", c.args, out, code, errs, c.want)
		}
	}
}

func TestOptionsAnywhere(t *testing.T) {
	for _, args := range []string{"list -et harbor", "list harbor -t -e", "list --format=pretty -te", "list -fpretty -te", "list -f json -f pretty -te", "list -te -- harbor"} {
		out, errs, code := newWorld(t, harbor).run(strings.Fields(args)...)
		if !strings.HasPrefix(out, "2026-") || !strings.Contains(out, "| Tags |") || code != 0 {
			t.Errorf("%s: exit %d\n%s%s", args, code, out, errs)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"list", "--help"}} {
		out, errs, code := newWorld(t).run(args...)
		if !strings.Contains(out, "list") || errs != "" || code != 0 {
			t.Errorf("%v: exit %d\n%s%s", args, code, out, errs)
		}
	}
}

func TestConfigFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "patroni.yml")
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Neither a name nor a postgresql section: for ctl this is a configuration.
	write(file, "scope: nosuch\netcd3:\n  hosts: 127.0.0.1:2379\n")
	for _, args := range [][]string{{"-c", file, "list"}, {"list", "-c", file}, {"--config-file", file, "list"}, {"list", "--config-file=" + file}, {"-c", dir, "list"}} {
		w := newWorld(t, harbor)
		w.env = []string{"PATRONI_SCOPE="}
		if out, errs, code := w.run(args...); !strings.HasPrefix(out, "+ Cluster: nosuch (") || code != 0 {
			t.Errorf("%v: exit %d\n%s%s", args, code, out, errs)
		}
	}
	missing := filepath.Join(dir, "missing.yml")
	if _, errs, code := newWorld(t).run("-c", missing, "list"); code != 1 ||
		errs != "Error: Provided config file "+missing+" not existing or no read rights. Check the -c/--config-file parameter\n" {
		t.Errorf("got %q, exit %d", errs, code)
	}
	for name, text := range map[string]string{"broken": "a: [", "list": "- 1\n"} {
		write(missing+name, text)
		if _, errs, code := newWorld(t).run("-c", missing+name, "list"); code != 1 || !strings.HasPrefix(errs, "Error: ") {
			t.Errorf("%s: got %q, exit %d", name, errs, code)
		}
	}
}

func TestNoStoreConfigured(t *testing.T) {
	w := newWorld(t)
	w.env = []string{"PATRONI_ETCD3_HOST="}
	_, errs, code := w.run("list", "harbor")
	if !strings.HasPrefix(errs, "Error: Can not find suitable configuration of distributed configuration store\n") || code != 1 {
		t.Errorf("got %q, exit %d", errs, code)
	}
	if out, _, code := w.run("-d", "etcd3://127.0.0.1:5/db", "list", "harbor"); !strings.Contains(out, "harbor") || code != 0 {
		t.Errorf("with a URL: got %q, exit %d", out, code)
	}
	if _, errs, code := w.run("-d", "bogus://x", "list", "harbor"); errs != "Error: Unknown dcs scheme: bogus\n" || code != 1 {
		t.Errorf("with a bad URL: got %q, exit %d", errs, code)
	}
}

func TestVersion(t *testing.T) {
	w := newWorld(t)
	w.env = []string{"PATRONI_ETCD3_HOST="}
	if out, _, code := w.run("version"); out != "patronictl version 4.1.4\n" || code != 0 {
		t.Errorf("got %q, exit %d", out, code)
	}
}
