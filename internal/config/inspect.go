package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// InspectOptions say how Inspect looks at the machine.
type InspectOptions struct {
	// IgnoreListenPort leaves out whether the ports to listen on are free: the node
	// may be running.
	IgnoreListenPort bool
	// Timeout bounds each attempt to connect; 3 s if it is zero.
	Timeout time.Duration
}

// Inspect checks the configuration against the machine and the network: programs,
// directories, files, ports, and whether the store answers. For validation only: a
// node starts without it, since what is away now may come back.
func Inspect(ctx context.Context, c *Config, options InspectOptions) []Problem {
	if options.Timeout == 0 {
		options.Timeout = 3 * time.Second
	}
	i := inspector{reader: reader{root: c.tree, report: &Report{}}, options: options}
	if !options.IgnoreListenPort {
		i.portsFree(ctx, "restapi.listen", c.RestAPI.Listen)
		i.portsFree(ctx, "postgresql.listen", c.Postgresql.Listen)
		i.embeddedPorts(ctx, c)
	}
	i.etcdAnswers(ctx, c)
	i.programs(c.Postgresql)
	i.dataDirectory(ctx, c.Postgresql)
	i.files(c)
	i.report.sort()
	return i.report.Problems
}

// ValidatorLines renders problems as patroni --validate-config prints them. Errors
// that it does not know take the same shape; other warnings are left out.
func ValidatorLines(problems []Problem) []string {
	var out []string
	for _, p := range problems {
		switch {
		case p.Validator != "":
			out = append(out, strings.Split(p.Validator, "\n")...)
		case p.Severity == Error:
			out = append(out, p.Path+"  "+p.Message)
		}
	}
	return out
}

type inspector struct {
	reader
	options InspectOptions
}

// refuse reports that the value at a path did not pass a check.
func (i inspector) refuse(path, value, why string) {
	i.report.add(Problem{At: i.position(path), Path: path, Severity: Error, Message: why,
		Validator: path + " " + value + " didn't pass validation: " + why})
}

func (i inspector) connects(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, i.options.Timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was written
	return true
}

func (i inspector) portsFree(ctx context.Context, path string, l Listen) {
	for _, host := range l.Hosts {
		switch host {
		case "", "*", "0.0.0.0", "::":
			host = "localhost"
		}
		if i.connects(ctx, net.JoinHostPort(host, strconv.Itoa(l.Port))) {
			i.refuse(path, i.get(path).Text(), fmt.Sprintf("Port %d is already in use.", l.Port))
			return
		}
	}
}

func (i inspector) embeddedPorts(ctx context.Context, c *Config) {
	if c.Embedded == nil {
		return
	}
	m, ok := c.Embedded.Member(c.Name)
	if !ok {
		return
	}
	for _, a := range []HostPort{m.Client(), m.Peer()} {
		if i.connects(ctx, a.String()) {
			i.refuse("embedded.members", a.String(), fmt.Sprintf("Port %d is already in use.", a.Port))
		}
	}
}

func (i inspector) etcdAnswers(ctx context.Context, c *Config) {
	if c.Etcd == nil {
		return
	}
	section := "etcd3"
	if c.Etcd.FromOldSection {
		section = "etcd"
	}
	path, list := section+".hosts", true
	switch {
	case c.Etcd.URL != "" || c.Etcd.Proxy != "":
		path, list = section, false
	case len(i.hosts(path)) == 0:
		path, list = section+".host", false
	default:
		list = i.get(path).Is(KindList)
	}
	for n, host := range c.Etcd.Hosts {
		itemPath := path
		if list {
			itemPath = join(path, strconv.Itoa(n))
		}
		if !i.connects(ctx, host) {
			i.report.add(Problem{At: i.position(path), Path: itemPath, Severity: Error, Message: host + " is not reachable",
				Validator: itemPath + " " + host + " didn't pass validation: " + host + " is not reachable"})
		}
	}
}

// neededPrograms must be there; pg_rewind only where it is to be used.
func neededPrograms(p Postgresql) []string {
	var out []string
	for _, name := range binaries {
		if name != "pg_rewind" || p.UsePgRewind {
			out = append(out, name)
		}
	}
	return out
}

func (i inspector) programs(p Postgresql) {
	const path = "postgresql.bin_dir"
	missing := func(message string) {
		i.report.add(Problem{At: i.position(path), Path: path, Severity: Error, Message: message, Validator: path + "  " + message})
	}
	where := "'$PATH'"
	if p.BinDir != "" {
		where = "'" + p.BinDir + "'"
		if info, err := os.Stat(p.BinDir); err != nil || !info.IsDir() {
			missing("Directory " + where + " does not exist.")
			return
		}
	}
	for _, program := range neededPrograms(p) {
		if _, err := exec.LookPath(p.Bin(program)); err != nil {
			missing("does not contain '" + filepath.Base(p.Bin(program)) + "' in " + where)
		}
	}
}

// dataDirectory must be absent, empty, or one of the installed major version.
func (i inspector) dataDirectory(ctx context.Context, p Postgresql) {
	const path = "postgresql.data_dir"
	if p.DataDir == "" {
		return
	}
	entries, err := os.ReadDir(p.DataDir)
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && len(entries) == 0:
		return
	case err != nil:
		i.refuse(path, p.DataDir, "cannot be read")
		return
	}
	version, err := os.ReadFile(filepath.Join(p.DataDir, "PG_VERSION"))
	if err != nil {
		i.refuse(path, p.DataDir, "is not empty and has no file PG_VERSION")
		return
	}
	if !isDirectory(filepath.Join(p.DataDir, "pg_wal")) && !isDirectory(filepath.Join(p.DataDir, "pg_xlog")) {
		i.refuse(path, p.DataDir, "has no directory pg_wal")
	}
	ours := strings.TrimSpace(string(version))
	installed := i.installedMajor(ctx, p)
	if installed != "" && installed != ours {
		i.refuse(path, p.DataDir, "is of version "+ours+", but the program postgres is of version "+installed)
	}
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// installedMajor asks the program itself: "postgres (PostgreSQL) 15.18 (Debian …)".
// Empty if there is none, of which programs tells.
func (i inspector) installedMajor(ctx context.Context, p Postgresql) string {
	ctx, cancel := context.WithTimeout(ctx, i.options.Timeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, p.Bin("postgres"), "--version").Output()
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(out), ") ")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	parts := strings.Split(number, ".")
	if len(parts) > 1 && len(parts[0]) == 1 {
		return parts[0] + "." + parts[1] // 9.6
	}
	digits := strings.IndexFunc(parts[0]+" ", func(c rune) bool { return c < '0' || c > '9' })
	return parts[0][:digits] // 18devel is 18
}

// files that the configuration names must be there.
func (i inspector) files(c *Config) {
	for _, path := range []string{"restapi.certfile", "restapi.keyfile", "restapi.cafile", "ctl.cacert", "ctl.certfile",
		"ctl.keyfile", "etcd3.cacert", "etcd3.cert", "etcd3.key", "etcd.cacert", "etcd.cert", "etcd.key"} {
		name := i.text(path)
		if name == "" {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			i.refuse(path, name, "cannot be read")
			continue
		}
		_ = f.Close() // it was not written to
	}
	if c.Log.Dir != "" && !isDirectory(c.Log.Dir) {
		i.refuse("log.dir", c.Log.Dir, "is not a directory")
	}
	if info, err := os.Stat(c.Postgresql.PgPass); err == nil && !info.Mode().IsRegular() {
		i.refuse("postgresql.pgpass", c.Postgresql.PgPass, "exists and is not a file")
	}
}
