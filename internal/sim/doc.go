// Package sim runs a whole cluster under virtual time: the real agent.Step, the real
// decisions of ha, the real permit.Driver and the guard's real rule, on simulated
// machines, clocks, network, etcd and PostgreSQL. Faults happen by lot, then they are
// healed, and the invariants S1 to S6 and L1 to L3 of the design are checked whenever
// something happens that could break them.
//
// A world is one thread of control and hangs on one seed: the same seed gives the same
// story to the last bit, so that a failure is replayed by its number. Agents' passes
// run on coroutines (iter.Pull): a pass that waits for etcd or for a peer gives the
// world its turn back, and everything that can happen during a pass does.
//
// What is simulated, and how far:
//
//   - etcd: three members with a leader, on the hosts or on machines of their own.
//     Linearizable; nothing is applied without a majority; an election takes 1 to 2 s
//     and gives every lease its life anew; ends of leases are noticed late. Requests
//     are slow, lost, answered late, or applied without an answer. A watch lags, and a
//     member that is cut off from its leader feeds its watches nothing and does not
//     know it.
//   - Machines: clocks 1,000 ppm fast or slow, loss of power, suspension. A suspended
//     machine's guard is the first to run again: it has a real-time priority.
//   - Processes: agent, guard, postmaster and etcd are killed and stopped. The guard
//     takes up to nine tenths of what the margins of the permit allow it.
//   - PostgreSQL: logs with timelines and, as the truth beside them, branches; crash
//     recovery, rewind, base backup, streaming with lag, fast shutdown, promotion. A
//     client commits every 80 ms through every server that would take it.
//
// What it does not cover: a guard and its agent that are both stopped while their
// server runs on, which nothing but a watchdog device ends, be it by SIGSTOP or on a
// machine that is suspended within the sixth of a permit after its guard was stopped: then
// there are two primaries for the milliseconds in which the agent notices after it wakes;
// members of Patroni's in the scope; cascading standbys. A third of the seeds is in synchronous or quorum
// mode (Settings.Sync), where no commit may be lost (S2).
//
// By hand. In worlds of that kind (ByHand) the cluster is paused for a while every now and
// then, servers that are down are restarted or started without the agent, and another
// leader is asked for while the present one recovers. What the invariants say is of a
// cluster that is not paused: two primaries are no fault while a guard is disarmed for a
// pause. But nobody goes on as a primary where another has been promoted since, and with
// the end of the pause everything holds again.
//
// Counted. In worlds of that kind, in synchronous or quorum mode, faults wait for a standby
// to come into the sync key after commits have waited for none, and take its leader away in
// that moment.
//
// Density. In Simulate an episode of one to four faults comes, on average, four
// minutes after the cluster has settled from the last one: some 25 faults an hour, as
// the result says. A fault lasts from 50 ms to 50 s. A quiet cluster goes in circles of
// loop_wait, so after 12 s in which nothing has happened whole circles are left out;
// TestALeapChangesNothing shows that the same comes of it. Dense worlds have some 3,000
// faults an hour and no leaps; the mutants are looked for in them.
package sim
