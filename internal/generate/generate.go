// Package generate writes a patroni.yml to begin with: a sample for this machine, or
// one that describes a server that runs already (compat/config.md §7.3).
//
// It changes nothing but the file that it is told to write. What it cannot know
// stands in the file as #FIXME, which validation finds.
package generate

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"matriarch/internal/config"
)

// Options say what is written and where to.
type Options struct {
	Sample  bool   // a sample, not the description of a server
	DSN     string // of the server; libpq's variables fill what it leaves out
	File    string // empty: Out
	Out     io.Writer
	Environ []string
	// Password asks a person; nil if there is none to ask.
	Password func(prompt string) (string, error)
}

// unknown stands where somebody has to decide.
const unknown = "#FIXME"

// values is a section of the file.
type values = map[string]any

// Run writes the file.
func Run(ctx context.Context, o Options) error {
	m := machine{environ: o.Environ}
	tree := template(m)
	var err error
	if o.Sample {
		err = sample(ctx, tree, m)
	} else {
		err = running(ctx, tree, m, o)
	}
	if err != nil {
		return err
	}
	merge(tree, config.FromEnvironment(o.Environ))
	if !slices.ContainsFunc(stores, func(name string) bool { return tree[name] != nil }) {
		tree["etcd3"] = values{"hosts": unknown}
	}
	text, err := render(tree)
	if err != nil {
		return err
	}
	return write(o, text)
}

// write makes a new file readable for its owner alone: it holds passwords.
func write(o Options, text string) error {
	if o.File == "" {
		_, err := io.WriteString(o.Out, text)
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.File), 0o777); err != nil {
		return fmt.Errorf("write %s: %w", o.File, err)
	}
	if err := os.WriteFile(o.File, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// merge lays one tree over another, as the environment is laid over a file.
func merge(lower, upper values) {
	for name, v := range upper {
		below, isMap := lower[name].(values)
		above, both := v.(values)
		if isMap && both {
			merge(below, above)
			continue
		}
		lower[name] = v
	}
}

// template is what both kinds of file have.
func template(m machine) values {
	host, address := m.name(), m.address()
	log := values{}
	for _, name := range []string{"type", "level", "traceback_level", "format", "max_queue_size"} {
		log[name] = number(config.Default("log." + name))
	}
	return values{
		"scope":   unknown,
		"name":    host,
		"log":     log,
		"restapi": values{"listen": join(address, 8008), "connect_address": join(address, 8008)},
		"bootstrap": values{"dcs": values{
			"ttl": 30, "loop_wait": 10, "retry_timeout": 10,
			"postgresql": values{"use_slots": true, "parameters": values{}},
		}},
		"postgresql": values{
			"listen": join(address, 5432), "connect_address": join(address, 5432), "data_dir": unknown,
			"authentication": values{
				"superuser":   values{"username": "postgres", "password": unknown},
				"replication": values{"username": "replicator", "password": unknown},
			},
		},
		// Patroni's own has nosync as well, of which its validation then complains.
		"tags": values{"failover_priority": 1, "sync_priority": 1, "noloadbalance": false, "nostream": false, "clonefrom": true},
	}
}

// number makes an integer of a text that is one.
func number(text string) any {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return text
}

func join(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}

// at finds a section, which must be there.
func at(tree values, path ...string) values {
	for _, name := range path {
		tree = tree[name].(values)
	}
	return tree
}

// scramSince is the major in which scram-sha-256 came.
const scramSince = 10

// sample fills the template for a new cluster.
func sample(ctx context.Context, tree values, m machine) error {
	dir, major, err := m.postgres(ctx)
	if err != nil {
		//lint:ignore ST1005 Patroni's words
		return fmt.Errorf("Failed to get postgres version: %w", err)
	}
	method := "scram-sha-256"
	if major < scramSince {
		method = "md5"
	}
	pg := at(tree, "postgresql")
	pg["bin_dir"] = dir
	pg["parameters"] = values{"password_encryption": method}
	pg["pg_hba"] = []any{"host all all all " + method, "host replication replicator all " + method}
	if major >= 11 { // older ones let only a superuser read files for pg_rewind
		at(pg, "authentication")["rewind"] = values{"username": "rewind_user", "password": unknown}
	}
	shared := at(tree, "bootstrap", "dcs", "postgresql")
	parameters := at(shared, "parameters")
	for name, value := range config.ControlledDefaults(major * 10000) {
		parameters[name] = value
	}
	shared["use_pg_rewind"] = parameters["wal_log_hints"] == "on"
	return nil
}

// machine is what we know of the host.
type machine struct{ environ []string }

func (m machine) getenv(name string) string {
	for _, e := range m.environ {
		if value, found := strings.CutPrefix(e, name+"="); found {
			return value
		}
	}
	return ""
}

// postgres finds the programs: by the variable, by PATH, or where Debian and Red Hat
// put them, the newest first.
func (m machine) postgres(ctx context.Context) (dir string, major int, err error) {
	if dir = m.getenv("PATRONI_POSTGRESQL_BIN_DIR"); dir != "" {
		major, err = version(ctx, filepath.Join(dir, "postgres"))
		return dir, major, err
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		major, err = version(ctx, path)
		return filepath.Dir(path), major, err
	}
	best := 0
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/postgres", "/usr/pgsql-*/bin/postgres"} {
		found, _ := filepath.Glob(pattern) // the patterns are right
		for _, path := range found {
			if n, err := version(ctx, path); err == nil && n > best {
				best, dir = n, filepath.Dir(path)
			}
		}
	}
	if best == 0 {
		return "", 0, fmt.Errorf("no program postgres in PATH; PATRONI_POSTGRESQL_BIN_DIR can name its directory")
	}
	return dir, best, nil
}

// version asks a postgres program for its major version.
func version(ctx context.Context, path string) (int, error) {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("run %s --version: %w", path, err)
	}
	_, rest, _ := strings.Cut(string(out), "(PostgreSQL) ")
	digits := strings.IndexFunc(rest+" ", func(c rune) bool { return c < '0' || c > '9' })
	major, err := strconv.Atoi(rest[:digits])
	if err != nil {
		return 0, fmt.Errorf("read the version from %q", strings.TrimSpace(string(out)))
	}
	return major, nil
}
