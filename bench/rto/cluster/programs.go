package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// Programs are what the nodes run.
type Programs struct {
	PostgreSQL string // directory of its programs
	Etcd       string
	Matriarch  string // the program
	Patroni    string // the program, or a directory that holds its source tree
	// Versions, as each says it.
	Versions map[string]string

	UID, GID int // the user postgres
}

// python is Debian's, which has the modules that Patroni needs.
const python = "/usr/bin/python3"

// Find looks every program up that the systems need, and asks for its version.
// Matriarch is copied to where the servers' user can reach it.
func (p *Programs) Find(ctx context.Context, dir string, systems ...string) error {
	who, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	if p.UID, err = strconv.Atoi(who.Uid); err != nil {
		return err
	}
	if p.GID, err = strconv.Atoi(who.Gid); err != nil {
		return err
	}
	if p.Etcd, err = exec.LookPath("etcd"); err != nil {
		return err
	}
	p.Versions = map[string]string{}
	ask := map[string][]string{
		"PostgreSQL": {filepath.Join(p.PostgreSQL, "postgres"), "--version"},
		"etcd":       {p.Etcd, "--version"},
	}
	for _, s := range systems {
		if s == Matriarch {
			if p.Matriarch, err = install(p.Matriarch, dir); err != nil {
				return err
			}
		}
		how := map[string]string{Matriarch: "version", Patroni: "--version"}[s]
		args, _ := p.agent(s)
		ask[s] = append(args, how)
	}
	for name, args := range ask {
		_, env := p.agent(name)
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("ask %s for its version: %w: %s", name, err, out)
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		p.Versions[name] = first
	}
	// "patroni 4.1.4" of the program, "__main__.py 4.1.4" of the source tree.
	if words := strings.Fields(p.Versions[Patroni]); len(words) > 0 {
		p.Versions[Patroni] = words[len(words)-1]
	}
	return nil
}

// install copies the program to a directory of the run: what is measured stays the
// same although it is built anew meanwhile.
func install(program, dir string) (string, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	to := filepath.Join(dir, Matriarch)
	return to, os.WriteFile(to, text, 0o755)
}

// agent is the command of a system's agent, without the configuration, and what it
// needs in its environment.
func (p *Programs) agent(system string) (args, env []string) {
	switch info, err := os.Stat(p.Patroni); {
	case system == Matriarch:
		return []string{p.Matriarch}, nil
	case system == Patroni && err == nil && info.IsDir():
		return []string{python, "-m", "patroni"}, []string{"PYTHONPATH=" + p.Patroni, "PYTHONDONTWRITEBYTECODE=1"}
	default:
		return []string{p.Patroni}, nil
	}
}

// VersionsOf are the versions of what runs in a cluster of a system.
func (p *Programs) VersionsOf(system string) map[string]string {
	out := map[string]string{}
	for _, name := range []string{system, "PostgreSQL", "etcd"} {
		out[name] = p.Versions[name]
	}
	return out
}
