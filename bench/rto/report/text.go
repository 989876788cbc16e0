package report

// The words of the page.
const introduction = `# Benchmarks

How long writes stop, and whether two nodes take them at once, when something
happens to the primary: Matriarch and Patroni measured by the same program
(bench/rto) on the same machine, with the guide's configuration (examples/guide):
three nodes, each with an etcd. This page is written by that program; the method is
at the end.

The configurations are *guide* (ttl 30, loop_wait 10, retry_timeout 10); for Patroni
also the *fastest* that it accepts (ttl 20, loop_wait 1, retry_timeout 3); for
Matriarch also the guide's with *permit 0.4*, and with *embedded etcd*.

Each cell is the median of the runs and in brackets the least and the greatest.`

const outageText = `The longest time in which no commit was acknowledged by any node, as seen by a client
that tries every 10 ms. Up to some 20 ms it is the distance of two tries and no
outage.`

const dualText = `How long two nodes both acknowledged commits. An instant counts only if each of the two
nodes had acknowledged a commit before it and acknowledged another that was sent after
it, so this is a lower bound. An agent that is dead or frozen is so for 40 s: what is
still going on then would have gone on.`

const lostText = `Rows whose commit was acknowledged, and that the cluster does not have once it is whole
again, at up to 100 rows per second and node. In a cut network this includes the rows
of a client inside the isolated node. Replication is asynchronous here, as in the guide.`

const rejoinText = `From when the agent or the node is started again, the network is there again or the
agent goes on, until the old primary streams from the new one. For a planned switchover
it counts from the request.`

const localText = `A client inside the node writes on while the node's network is cut. This is when the last
of its commits was acknowledged, counted from the cut.`

const runsText = `The write outage of every run in seconds, in the order of measuring. With a * the node of
the primary had etcd's leader as well: when that is lost, etcd first elects another one,
by its own settings in 1 to 2 s.`

const method = `## Method

**The nodes.** Each is a namespace of processes, of network and of mounts: its own
/run, its own first process that reaps what is orphaned, its own address on a bridge.
It runs an etcd with etcd's default settings (not with embedded etcd), the agent and
PostgreSQL, these as user postgres. Files are on the machine's disk, and nobody turns
fsync off. Every node has a cgroup that belongs to user postgres, as in a unit with
Delegate=yes, where the machine has cgroup v2; realtime priority and locked memory are
granted as the packaged unit does where the machine lets us. The client is on the
bridge.

**The client.** One process with one kept connection and one prepared statement per
node: every 10 ms it sends one row to each of the three nodes, if the last one was
answered, and each row bears the node's name. A standby refuses it and keeps the
connection, so that nothing has to be set up when it is promoted. A connection that
breaks is opened again at the next try, with 0.3 s to connect; a row is given up after
1 s. The nodes are independent of each other: one that does not answer delays nothing
at another.

**What is done.** A run begins when one node is primary, its agent confirms the lease,
and both others stream from it; then between 1 s and 1 s + loop_wait pass, by lot, so
that what an agent does once in loop_wait is met at any point of it. All runs of a
configuration are on one cluster, whose primary and etcd leader wander. A run ends when
writes have gone on for 3 s and the old primary streams again.

| case | what is done |
| --- | --- |
| planned switchover | POST /switchover at the leader, with a candidate |
| clean stop of the agent | SIGTERM to the agent; started again when another node has taken writes for 3 s |
| SIGKILL of the postmaster | that process alone; the agent restarts it or fails over as it chooses |
| SIGKILL of the agent | that process alone; started again after 0.1 s as by a supervisor, or after 40 s |
| SIGSTOP of the agent | SIGCONT after 40 s |
| loss of the node | the cable is taken out, then the namespace's first process is killed, on which the kernel kills all the others in it at once: agent, PostgreSQL, etcd. Booted again when another node has taken writes for 3 s |
| network of the node cut | the cable is taken out and put in again after 40 s; all processes live on. The node's etcd is cut off with it |
| etcd down | SIGKILL to all three, started again after 60 s |

**What could distort it, and how that is kept out.**

- *Orphans that are reaped late.* A postmaster whose parent was killed stays a zombie
  until the first process reaps it, and looks alive by its pid meanwhile. The first
  process of each node here does nothing else than reap and start.
- *Connection set-up.* Authentication and preparing take longer than a promotion. The
  connections to the standbys are there before they are needed.
- *Want of processor time.* The client runs under a realtime policy (SCHED_RR), all that
  is measured under the normal one, in a cgroup whose cpu.shares give it precedence over
  the rest of the machine (with cgroup v1). The client watches itself: a timer of 5 ms
  tells how late it gets to run. A run in which it was late by more than 20 ms, and by
  more than a hundredth of the outage, within 0.2 s of either end of the outage is thrown
  away and measured again. So is one in which other programs of the machine used more than
  a share of its processors (-others, a quarter) within 0.5 s of either end, and none
  begins before they have used less than half of that for 2 s.
- *Its own load.* Some 300 short statements per second, of which the standbys refuse
  200; their refusals are not written to the server's log. That keeps about a fifth of
  one processor busy, with either system. No other load runs.
- *Addresses.* A node keeps its hardware address over every boot, so that nobody
  waits for another's to be found.

What is acknowledged is compared with the table once the cluster is whole: lost rows are
those that were acknowledged and are not there.

**To repeat it**, as root, with the packages postgresql-15, etcd-server, iproute2 and
patroni (whose service must not run):

    go run ./bench/rto -json /tmp/rto.json -out /tmp/benchmarks.md

-system, -setups, -cases and -runs choose parts; what is measured takes the place of the
same part in the file, and -system none only writes the page from it. -patroni takes
another program than Debian's, or a directory with Patroni's source tree. All processes
and networks are gone when the program ends, however it ends; a SIGKILL only leaves its
directory and its empty cgroups.`
