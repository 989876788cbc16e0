// Package guard is the process that stops a server that has lost its right to
// write: the parent of the postmaster, with one deadline and one rule (Decide).
// When the deadline passes while the server may be a primary, it freezes the
// whole server; it thaws it when the deadline is extended, kills it frozen when
// told so, and by itself when nothing extends the deadline for a long while.
//
// A program that imports this package becomes the guard when its argv[0] is
// Name: the package's init takes over and never returns. The other way, a second
// small program embedded in the first, would need a build step before "go build".
// What it saves is the initialisation of etcd's and gRPC's packages, and that is
// saved here as well: Go initialises a package as soon as all that it imports is
// initialised, the alphabetically first of those that are ready. This package
// imports nothing that needs reflect or net, so it is ready, and first, before
// any package of weight is; TestNothingHeavyRunsBeforeTheGuard holds that. So
// no fmt, no strings, no net, no golang.org/x/sys/unix in here, nor in boottime.
//
// Measured on two cores with as much other work as they could take, in a program
// of 48 MB: ready 6 to 8 ms after the start at best, 15 ms in the median, with 28
// packages initialised of 300; 4.7 MB resident, of them 1.2 MB its own and the rest
// pages of the program that it shares with the agent.
//
// Callers must not assume that the guard is there for them alone: it outlives the
// agent, and the next agent finds it by its socket.
package guard

// Name is what the process is called, in argv[0] and in /proc/PID/comm.
const Name = "matriarch-guard"

// Version is that of the protocol on the socket. Guard and agent can be of
// different builds: the guard lives as long as the server.
const Version = 2
