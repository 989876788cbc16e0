package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// pidFile is the content of postmaster.pid (src/include/utils/pidfile.h).
type pidFile struct {
	PID     int
	Started time.Time
	Status  string // starting, stopping, ready, standby
}

// readPidFile returns the zero value when there is none or it is not written to
// its end yet.
func readPidFile(cfg Config) pidFile {
	text, err := os.ReadFile(cfg.data("postmaster.pid"))
	if err != nil {
		return pidFile{}
	}
	lines := strings.Split(string(text), "\n")
	field := func(number int) string { // numbered from 1, as in pidfile.h
		if number > len(lines) {
			return ""
		}
		return strings.TrimSpace(lines[number-1])
	}
	pid, err := strconv.Atoi(field(1))
	if err != nil {
		return pidFile{}
	}
	file := pidFile{PID: pid, Status: field(8)}
	if seconds, err := strconv.ParseInt(field(3), 10, 64); err == nil {
		file.Started = time.Unix(seconds, 0)
	}
	return file
}

// procStat is what /proc/PID/stat says (proc(5)).
type procStat struct {
	Parent int
	State  byte
	Ticks  uint64 // start of the process, clock ticks since boot
}

// dead is true of a process that has ended and only waits to be reaped. To
// kill(pid, 0) it looks alive, for seconds where process 1 is slow.
func (p procStat) dead() bool { return p.State == 'Z' || p.State == 'X' }

func readStat(pid int) (procStat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, err
	}
	// The command's name may hold blanks and brackets: the last one closes it.
	end := strings.LastIndexByte(string(text), ')')
	fields := strings.Fields(string(text[end+1:]))
	if end < 0 || len(fields) < 20 {
		return procStat{}, fmt.Errorf("read /proc/%d/stat: %d fields", pid, len(fields))
	}
	parent, errParent := strconv.Atoi(fields[1])
	ticks, errTicks := strconv.ParseUint(fields[19], 10, 64)
	return procStat{Parent: parent, State: fields[0][0], Ticks: ticks}, errors.Join(errParent, errTicks)
}

// kinship is what a process is to a data directory.
type kinship int

const (
	gone    kinship = iota // no such process
	zombie                 // ended, not reaped
	foreign                // alive and something else
	ours                   // a postgres process working in the directory
)

// kin looks a process over. A postgres process's working directory is its data
// directory (miscinit.c, ChangeToDataDir), which no reused pid can imitate by
// accident. The start time in postmaster.pid is wall time and would turn a live
// server into a stranger after the clock was set, so it is not compared.
func kin(pid int, dataDir string) kinship {
	stat, err := readStat(pid)
	switch {
	case err != nil:
		return gone
	case stat.dead():
		return zombie
	}
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil || !sameDir(cwd, dataDir) {
		return foreign
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return foreign
	}
	// An upgraded package replaces the file under a running server.
	exe = filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
	if !strings.HasPrefix(exe, "postgres") && exe != "postmaster" {
		return foreign
	}
	return ours
}

func sameDir(a, b string) bool {
	if a == b {
		return true
	}
	first, errFirst := os.Stat(a)
	second, errSecond := os.Stat(b)
	return errFirst == nil && errSecond == nil && os.SameFile(first, second)
}

// relatives are the postgres processes of a data directory, whoever their parent
// is.
func relatives(dataDir string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err == nil && kin(pid, dataDir) == ours {
			pids = append(pids, pid)
		}
	}
	return pids
}
