package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"matriarch/test/e2e/contract"
	"matriarch/test/e2e/lab"
)

// compared is a cluster in which two nodes are asked the same: beside Patroni's leader
// one standby of each kind, and in the end leaders of each kind.
type compared struct {
	c            *lab.Cluster
	leader       *lab.Node // Patroni's
	theirs, ours *lab.Node
	contract.Comparison
	led map[string][]contract.Fields // what Patroni's leader answered, by state
}

// TestContractWithPatroni compares the REST answers with those of a Patroni that runs
// in the same cluster, field by field. What may differ is in contractPurposes.
func TestContractWithPatroni(t *testing.T) {
	t.Parallel()
	patroni := lab.FindPatroni(t)
	c := lab.New(t, 3, lab.StartEtcd(t, 1), lab.Changed(contractSettings))
	d := &compared{c: c, leader: c.Nodes[0], theirs: c.Nodes[1], ours: c.Nodes[2], led: map[string][]contract.Fields{}}
	d.Version = regexp.MustCompile(`[0-9.]+$`).FindString(patroni.Version)
	d.Purposes = contractPurposes
	d.leader.Patroni, d.theirs.Patroni = patroni, patroni
	t.Cleanup(func() {
		for _, fault := range d.Faults {
			t.Error(fault)
		}
	})
	d.leader.Start()
	c.WaitPrimary(lab.Patience, nil)
	d.theirs.Start()
	d.ours.Start()
	c.WaitWhole(lab.Patience)
	for _, n := range []*lab.Node{d.theirs, d.ours} {
		n.WaitCodes(lab.Patience, map[string]int{"/replica": 200, "/async": 200})
	}

	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"quiet", d.quiet},
		{"paused, and a restart is pending", d.paused},
		{"both are synchronous", d.synchronous},
		{"ours leads", d.oursLeads},
		{"failsafe", d.failsafe},
		{"faults that are not copied", d.notCopied},
		{"from where nobody may come", d.notAllowed},
	} {
		story(t, c, step.name, step.do)
	}
	for _, reason := range d.Unused() {
		t.Error("not seen any more: ", reason)
	}
	t.Logf("%s: %d fields compared, %d differ on purpose for %d reasons", patroni.Version, d.Compared, d.Kept, len(contractPurposes))
}

func contractSettings(n *lab.Node, s lab.Settings) {
	mixedSettings(n, s)
	s.Set("restapi.authentication", map[string]any{"username": contractUser, "password": contractPassword})
	s.Set("restapi.http_extra_headers", map[string]any{"X-Contract": "yes"})
	s.Set("tags", map[string]any{"clonefrom": true, "datacenter": "east", "rack": 2, "noloadbalance": false})
}

// ask sends a list of requests to a node.
func (d *compared) ask(t *testing.T, n *lab.Node, list []contract.Request) (out []contract.Fields) {
	t.Helper()
	who := contract.Whose{Self: []string{n.Name, n.Host}}
	for _, other := range d.c.Others(n) {
		who.Peers = append(who.Peers, other.Name, other.Host)
	}
	for _, r := range list {
		ctx, cancel := context.WithTimeout(t.Context(), lab.Patience)
		a, err := r.Send(ctx, d.c.Client.Dial, n.Host+":8008")
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if sameForAll(r) {
			out = append(out, a.Fields(contract.Whose{}))
			continue
		}
		out = append(out, a.Fields(who))
	}
	return out
}

// sameForAll are the answers in which every node has its own name.
func sameForAll(r contract.Request) bool {
	return r.Method == "GET" && (r.Path == "/cluster" || r.Path == "/history" || r.Path == "/config")
}

func (d *compared) compare(state string, list []contract.Request, theirs, ours []contract.Fields) {
	for i, r := range list {
		d.Compare(state, r, theirs[i], ours[i])
	}
}

// standbys compares the two standbys. An answer that hangs on the position counts
// only while the position stands still.
func (d *compared) standbys(t *testing.T, state string, list []contract.Request) {
	t.Helper()
	const tries = 5
	for try := 1; ; try++ {
		before := ""
		if onPosition(list) {
			d.level(t)
			before = d.replayed(t)
		}
		theirs, ours := d.ask(t, d.theirs, list), d.ask(t, d.ours, list)
		if before == "" || try == tries || d.replayed(t) == before {
			d.compare(state, list, theirs, ours)
			return
		}
		t.Logf("%s: the position moved while the nodes were asked, they are asked again", state)
	}
}

// behindByNothing is answered by the code 503 as long as the published position of the
// leader, as the node knows it, is not less than what the node has replayed. Patroni
// before 4.1 knows that position from the store alone, where it is written once in
// loop_wait: right after a write a standby is ahead of it.
const behindByNothing = "/replica?lag=-1"

func onPosition(list []contract.Request) bool {
	return slices.ContainsFunc(list, func(r contract.Request) bool { return r.Path == behindByNothing })
}

// level waits until both standbys know a position of the leader that is not less than
// their own. The leader publishes its own in every state in which it has the key, also
// while the cluster is paused.
func (d *compared) level(t *testing.T) {
	t.Helper()
	for _, n := range []*lab.Node{d.theirs, d.ours} {
		n.WaitCodes(lab.Patience, map[string]int{behindByNothing: 503})
	}
}

// replayed is how far the two standbys are, as they say.
func (d *compared) replayed(t *testing.T) string {
	t.Helper()
	var out []string
	for _, n := range []*lab.Node{d.theirs, d.ours} {
		a, err := n.Ask(t.Context(), lab.Patience, "GET", "/patroni", "")
		if err != nil {
			t.Fatal(err)
		}
		at, _ := a.Document()["xlog"].(map[string]any)
		out = append(out, fmt.Sprint(n.Name, " ", at["replayed_location"]))
	}
	return strings.Join(out, ", ")
}

// settled waits until both of the nodes and the leader know of a state.
func (d *compared) settled(t *testing.T, what string, condition func(n *lab.Node, status map[string]any) bool) {
	t.Helper()
	lab.Eventually(t, lab.Patience, what, func(ctx context.Context) (bool, string) {
		for _, n := range d.c.Nodes {
			a, err := n.Ask(ctx, 5*time.Second, "GET", "/patroni", "")
			if err != nil {
				return false, err.Error()
			}
			if status := a.Document(); !condition(n, status) {
				return false, fmt.Sprint(n.Name, ": ", status)
			}
		}
		return true, ""
	})
}

func (d *compared) configure(t *testing.T, patch map[string]any) {
	t.Helper()
	d.c.Configure(func(s lab.Settings) {
		for key, value := range patch {
			if value == nil {
				delete(s, key)
				continue
			}
			s.Set(key, value)
		}
	})
}

func (d *compared) quiet(t *testing.T) {
	d.standbys(t, "standby", slices.Concat(reads(), closed(), refused(), accepted()))
	d.led["leader"] = d.ask(t, d.leader, d.leaderRequests())
}

// leaderRequests are those that a leader is asked, by whichever name it has.
func (d *compared) leaderRequests() []contract.Request {
	return slices.Concat(ofTheNode(), closed(), []contract.Request{
		call("POST", "/reinitialize", ""), call("POST", "/reinitialize", `{"force":true}`), call("POST", "/restart", `{"role":"replica"}`),
		call("POST", "/failsafe", "{}"), bare("DELETE", "/switchover"), bare("DELETE", "/restart"),
	})
}

// isPaused reports that a node is paused and has a restart pending, or neither.
func isPaused(on bool) func(*lab.Node, map[string]any) bool {
	return func(_ *lab.Node, status map[string]any) bool {
		return (status["pause"] == true) == on && (status["pending_restart"] == true) == on
	}
}

// pause makes both so, in one state, because a test of each takes its time.
func (d *compared) pause(t *testing.T) {
	t.Helper()
	d.configure(t, map[string]any{"pause": true, "postgresql.parameters.max_connections": 60})
	d.settled(t, "all are paused, and a restart of all is pending", isPaused(true))
	d.c.WaitPicture(lab.Patience, "that is in the store", func(p lab.Picture) bool {
		for _, n := range d.c.Nodes {
			if own := p.Keys["members/"+n.Name]; !strings.Contains(own, `"pause":true`) || !strings.Contains(own, `"pending_restart":true`) {
				return false
			}
		}
		return true
	})
}

func (d *compared) paused(t *testing.T) {
	d.pause(t)
	d.standbys(t, "standby, paused", slices.Concat(reads(), []contract.Request{
		call("POST", "/switchover", `{"leader":"node1","candidate":"node2","scheduled_at":"2030-01-01T02:00:00+02:00"}`), call("POST", "/switchover", `{"leader":"node1"}`),
		call("POST", "/restart", `{"schedule":"2030-01-01T02:00:00+02:00"}`), call("POST", "/restart", `{"schedule":"x"}`),
	}))
	d.led["leader, paused"] = d.ask(t, d.leader, ofTheNode())
}

func (d *compared) synchronous(t *testing.T) {
	d.configure(t, map[string]any{"synchronous_mode": true, "synchronous_node_count": 2, "pause": nil, "postgresql.parameters.max_connections": 100})
	d.settled(t, "both standbys are synchronous", func(n *lab.Node, status map[string]any) bool {
		return isPaused(false)(n, status) && (n == d.leader || status["sync_standby"] == true)
	})
	d.standbys(t, "synchronous standby", slices.Concat(reads(), []contract.Request{call("POST", "/switchover", `{"leader":"node1","candidate":"nobody"}`)}))
	d.configure(t, map[string]any{"synchronous_mode": nil, "synchronous_node_count": nil})
	d.settled(t, "none is synchronous any more", func(_ *lab.Node, status map[string]any) bool { return status["sync_standby"] == nil })
	d.c.WaitPicture(lab.Patience, "the key of the synchronous mode is gone", func(p lab.Picture) bool { return p.Keys["sync"] == "" })
}

// oursLeads moves the leader's place to ours and asks it what Patroni's leader was asked.
func (d *compared) oursLeads(t *testing.T) {
	was := call("POST", "/switchover", fmt.Sprintf(`{"leader":%q,"candidate":%q}`, d.leader.Name, d.ours.Name))
	done := d.ask(t, d.leader, []contract.Request{was})[0]
	d.c.WaitWhole(lab.Patience)
	d.ours.WaitCodes(lab.Patience, map[string]int{"/primary": 200})
	d.settled(t, "all follow", func(n *lab.Node, status map[string]any) bool {
		return n == d.ours && status["replication"] != nil && len(status["replication"].([]any)) == 2 || n != d.ours && status["state"] == "running"
	})
	d.compare("leader", d.leaderRequests(), d.led["leader"], d.ask(t, d.ours, d.leaderRequests()))
	theSame := requests("GET", []string{"/cluster", "/history", "/config"})
	d.compare("ours leads", theSame, d.ask(t, d.theirs, theSame), d.ask(t, d.ours, theSame))

	d.pause(t)
	d.compare("leader, paused", ofTheNode(), d.led["leader, paused"], d.ask(t, d.ours, ofTheNode()))
	d.configure(t, map[string]any{"pause": nil})
	d.settled(t, "none is paused", func(_ *lab.Node, status map[string]any) bool { return status["pause"] == nil })

	// What a switchover that is carried out answers, both ways.
	back := call("POST", "/switchover", fmt.Sprintf(`{"leader":%q,"candidate":%q}`, d.ours.Name, d.leader.Name))
	d.compare("a switchover", []contract.Request{was}, []contract.Fields{done}, d.ask(t, d.ours, []contract.Request{back}))
	d.c.WaitWhole(lab.Patience)
}

// failsafe switches the mode on and sends both what a leader without a store sends.
func (d *compared) failsafe(t *testing.T) {
	d.configure(t, map[string]any{"failsafe_mode": true})
	d.c.WaitPicture(lab.Patience, "all members are in the failsafe key", func(p lab.Picture) bool {
		return strings.Count(p.Keys["failsafe"], "http://") == len(d.c.Nodes)
	})
	lab.Eventually(t, lab.Patience, "both take part", func(ctx context.Context) (bool, string) {
		for _, n := range []*lab.Node{d.theirs, d.ours} {
			a, err := d.word().Send(ctx, d.c.Client.Dial, n.Host+":8008")
			known, no := n.Ask(ctx, 5*time.Second, "GET", "/failsafe", "")
			if err != nil || a.Code != 200 || no != nil || known.Code != 200 {
				return false, fmt.Sprint(n.Name, a.Code, err, known.Code, no)
			}
		}
		return true, ""
	})
	d.standbys(t, "failsafe", []contract.Request{
		{Method: "GET", Path: "/failsafe"}, d.word(), {Method: "OPTIONS", Path: "/replica"}, {Method: "OPTIONS", Path: "/async"},
	})
	for _, n := range []*lab.Node{d.theirs, d.ours} {
		if a, err := n.Ask(t.Context(), lab.Patience, "GET", "/patroni", ""); err != nil || a.Document()["failsafe_mode_is_active"] != true {
			t.Errorf("%s: %s %v", n.Name, a.Body, err)
		}
	}
	theLeader := []contract.Request{d.word()}
	answers := d.ask(t, d.leader, theLeader)
	if answers[0]["code"] != "500" || answers[0]["body"] != "Running as a leader" {
		t.Errorf("a leader answers %v", answers[0])
	}
}

func (d *compared) word() contract.Request {
	return call("POST", "/failsafe", fmt.Sprintf(`{"name":%q,"conn_url":"postgres://%s:5432/postgres","api_url":"http://%s:8008/patroni","slots":{}}`, d.leader.Name, d.leader.Host, d.leader.Host))
}

// notCopied are the faults of Patroni 4.1.4 that compat/rest-api.md names as such.
func (d *compared) notCopied(t *testing.T) {
	server := d.ours.Postmaster()
	for what, want := range map[contract.Request]string{
		// A request that is refused is not carried out all the same.
		call("POST", "/reinitialize", "{"): "400", call("POST", "/reinitialize", "[]"): "400",
		// A mistake is told, and not by hanging up.
		call("POST", "/switchover", `{"leader":"node1","candidate":"node1","scheduled_at":"2030-01-01T00:00:00Z"}`): "400 Switchover target and source are the same",
		call("POST", "/failsafe", `{"name":"node1"}`):                                                               "400",
		// Nobody is let in without the credentials.
		{Method: "POST", Path: "/mpp", Body: body(`{"type":"after_promote"}`)}: "401 no auth header received",
	} {
		got := d.ask(t, d.ours, []contract.Request{what})[0]
		if said := strings.TrimSpace(got["code"] + " " + got["body"]); said != want {
			t.Errorf("%s: %s, want %s", what, said, want)
		}
	}
	if a, err := d.ours.Ask(t.Context(), lab.Patience, "GET", "/patroni", ""); err != nil || a.Document()["state"] != "running" || d.ours.Postmaster() != server {
		t.Errorf("after refused requests: %s %v", a.Body, err)
	}
}

// notAllowed lets both read an allowlist that the test's own address is not on.
func (d *compared) notAllowed(t *testing.T) {
	for _, n := range []*lab.Node{d.theirs, d.ours} {
		n.Rewrite(func(s lab.Settings) { s.Set("restapi.allowlist", []any{"10.255.255.0/24"}) })
		if a := d.ask(t, n, []contract.Request{bare("POST", "/reload")})[0]; a["code"] != "202" {
			t.Fatal(n.Name, a)
		}
		lab.Eventually(t, lab.Patience, n.Name+" has read its allowlist", func(ctx context.Context) (bool, string) {
			a, err := bare("DELETE", "/restart").Send(ctx, d.c.Client.Dial, n.Host+":8008")
			return err == nil && a.Code == 403, fmt.Sprint(a.Code, err)
		})
	}
	d.standbys(t, "not on the allowlist", slices.Concat(closed(), refused(), requests("OPTIONS", []string{"/replica", "/patroni"})))
}

// TestTheListOfDifferencesSaysWhy holds the list to its purpose.
func TestTheListOfDifferencesSaysWhy(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range contractPurposes {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(strings.Fields(p.Why)) < 3 || seen[string(text)] || p.Request == "*" && p.Field == "*" {
			t.Errorf("%s", text)
		}
		seen[string(text)] = true
	}
	if !slices.Contains(slices.Collect(maps.Values(seen)), true) {
		t.Error("the list is empty")
	}
}
