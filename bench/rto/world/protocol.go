package world

import "syscall"

// Service is a process that a node runs: an agent or an etcd.
type Service struct {
	Name string
	Args []string
	Env  []string
	Log  string // what it and its children say is appended here
}

// request is what the benchmark tells a node's first process, one JSON value after
// another on its standard input.
type request struct {
	ID      int
	Op      string // see first.go
	Service Service
	Signal  syscall.Signal
	Path    string // of the data directory
}

const (
	opStart      = "start"      // Service
	opSignal     = "signal"     // Signal to Service.Name
	opPostmaster = "postmaster" // Signal to the postmaster of Path
)

// reply is what it says, likewise, on its standard output: first one that it is
// ready, then an answer to each request and the end of each service as it comes.
type reply struct {
	ID    int
	Error string
	Ended string // the name of a service that has ended
}

// nodeOptions go to a node's first process as its one argument.
type nodeOptions struct {
	UID, GID int
	Group    string // a cgroup of version 2 for this node alone
	Shares   string // one of version 1, for all nodes
}
