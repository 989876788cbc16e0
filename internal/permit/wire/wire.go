// Package wire carries heartbeats between agents, over connections that are kept.
//
// A leader has one connection to each member's REST listener: an HTTP request that
// is upgraded, so that the listener's address, TLS, allowlist and passwords apply
// as they are. On it go lines of JSON, a heartbeat there and its acknowledgement
// back. Links is the leader's side, Receiver the member's.
//
// Nothing here decides and nothing is promised: a heartbeat may be lost, come
// late, or come twice, and so may its acknowledgement. What is kept is that nobody
// waits: Send takes the newest heartbeat and returns, older unsent ones are gone.
// And that an acknowledgement is of the member and the cluster that were asked:
// who else answers at the address is not heard.
package wire

import (
	"net/http"
	"net/url"
	"time"
)

// Protocol is the name that the connection is upgraded to.
const Protocol = "matriarch-heartbeat/1"

// Path is what is asked for. Patroni answers it as a health check, which is no
// upgrade.
const Path = "/heartbeat"

// Who is meant goes in the query, so that an address that was given to another
// member, or to a member of the same name in another cluster, is found out before
// a promise of its can be taken for one of ours.
const (
	clusterField = "cluster"
	memberField  = "member"
)

func query(cluster, member string) string {
	return url.Values{clusterField: {cluster}, memberField: {member}}.Encode()
}

// The limits on what the other side may do.
const (
	lineBytes   = 4 << 10  // a heartbeat is some 250
	answerBytes = 16 << 10 // the whole answer to the request for an upgrade

	// firstWait is for the first heartbeat on a connection, silentWait for the next
	// one. A leader that is silent for so long has none, and will connect again.
	firstWait  = 5 * time.Second
	silentWait = 30 * time.Second

	// connectionsMax is for all leaders of the past and present together, and their
	// second connections.
	connectionsMax = 64
)

// idleWait is how long a connection is kept to a member that nothing is sent to.
const idleWait = 10 * time.Second

// upgrade is the head of the request and of the answer.
func upgrade(h http.Header) {
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", Protocol)
}
