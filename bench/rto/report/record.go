// Package report keeps what was measured in a file, and writes the page about it.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Run is one measurement. Times are in milliseconds.
type Run struct {
	At        time.Time `json:"at"`
	Leader    string    `json:"leader"`    // before
	Successor string    `json:"successor"` // after
	// EtcdLeader says that the leader's node had etcd's leader as well.
	EtcdLeader bool `json:"etcd_leader,omitempty"`

	Outage       float64  `json:"outage_ms"`        // the longest time without an acknowledged commit
	Paused       float64  `json:"paused_ms"`        // the sum of all longer than 100 ms
	Dual         float64  `json:"dual_ms"`          // proven, see package figures
	DualPossible float64  `json:"dual_possible_ms"` // at most
	Lost         int      `json:"lost"`             // acknowledged rows of the client outside
	LostInside   int      `json:"lost_inside"`      // of the client inside the isolated node
	LastLocal    *float64 `json:"last_local_ms,omitempty"`
	Rejoin       *float64 `json:"rejoin_ms,omitempty"`

	ClientLag float64 `json:"client_lag_ms"`      // of the client itself, at the ends of the outage
	Others    float64 `json:"others"`             // share of the processors that others used meanwhile
	Repeated  int     `json:"repeated,omitempty"` // runs before this one that were thrown away for either
	Error     string  `json:"error,omitempty"`    // what did not come about
}

// Machine is where it was measured.
type Machine struct {
	Cores    int    `json:"cores"`
	CPU      string `json:"cpu"`
	MemoryMB int    `json:"memory_mb"`
	Kernel   string `json:"kernel"`
}

// Result is all runs of a case with a setup.
type Result struct {
	System   string            `json:"system"`
	Setup    string            `json:"setup"`
	Case     string            `json:"case"`
	Machine  Machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	Runs     []Run             `json:"runs"`
}

// File is what is kept.
type File struct {
	Results []Result `json:"results"`
}

// Read reads a file. One that is not there is empty.
func Read(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &File{}, nil
	}
	if err != nil {
		return nil, err
	}
	f := &File{}
	if err := json.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return f, nil
}

// Write replaces the file whole.
func (f *File) Write(path string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Find is the result of a case with a setup, nil if there is none.
func (f *File) Find(system, setup, name string) *Result {
	for i := range f.Results {
		if r := &f.Results[i]; r.System == system && r.Setup == setup && r.Case == name {
			return r
		}
	}
	return nil
}

// Put takes a result in, in place of an earlier one of the same case and setup.
func (f *File) Put(r Result) {
	if old := f.Find(r.System, r.Setup, r.Case); old != nil {
		*old = r
		return
	}
	f.Results = append(f.Results, r)
}
