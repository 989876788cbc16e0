package sim

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	"matriarch/internal/ha"
)

var update = flag.Bool("update", false, "rewrite the expected part of the stories")

// TestStories runs the scenarios of testdata: commands, a line of dashes, and what
// came of them. The clocks agree and messages take the usual, so that a story depends
// on what is decided and on nothing else.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d stories: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script, want, _ := strings.Cut(string(text), "----\n")
			s := &stage{t: t}
			for line := range strings.Lines(script) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
					s.command(strings.Fields(line))
				}
			}
			got := s.told()
			if s.w.broken != "" {
				t.Errorf("%s\n%s", s.w.broken, got)
			}
			switch {
			case got == want:
			case *update:
				if err := os.WriteFile(file, []byte(script+"----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
			default:
				t.Errorf("%s: got\n%s\nwant\n%s\n(-update takes it over)", file, got, want)
			}
		})
	}
}

// stage is where a story is played.
type stage struct {
	t     *testing.T
	w     *World
	heals map[string]func()
	from  int // the first line that is shown
	start instant
}

// command carries out one line of a script.
func (s *stage) command(words []string) {
	verb, args := words[0], words[1:]
	if verb == "cluster" {
		s.cluster(args)
		return
	}
	if s.w == nil {
		s.t.Fatal("a story begins with: cluster …")
	}
	h := (*host)(nil)
	if len(args) > 0 {
		h = s.w.host(args[0])
	}
	s.w.tell("> %s", strings.Join(words, " "))
	switch verb {
	case "run":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.w.Run(d)
	case "switchover":
		s.request(cluster.Failover{Leader: args[0], Candidate: args[1]})
	case "failover": // failover n2: to that one
		s.request(cluster.Failover{Candidate: args[0]})
	case "pause":
		s.heals["pause"] = s.w.pause()
	case "resume":
		s.heals["pause"]()
	case "launch": // by hand, as pg_ctl does: as what its disk says that it is
		h.server.launchByHand(startTime)
	case "restart":
		s.w.order(h, ha.Order{Task: ha.ToRestart})
	case "reinitialize":
		s.w.order(h, ha.Order{Task: ha.ToReinitialize})
	case "loses", "back": // loses n1: its machine; back n1
		if verb == "loses" {
			s.w.powerOff(h.machine)
		} else {
			s.w.powerOn(h.machine)
		}
	case "crash":
		h.server.crash()
	case "kill":
		s.kill(h, args[1])
	case "stop":
		s.heals[strings.Join(args, " ")] = s.stop(h, args[1])
	case "continue":
		s.heals[strings.Join(args, " ")]()
	case "end":
		h.agent.terminate()
	case "takeover": // takeover restarts: the agent of the next to take the lead, as it is applied
		s.w.ambushes = append(s.w.ambushes, ambush{
			fits:   func(m moment) bool { return m.takes && m.applied },
			strike: func(m moment) { m.by.agent.kill() },
		})
	case "start":
		h.agent.stopping = false
		h.agent.begin()
	case "cut": // cut n1 from etcd, from others, from n2, from all
		s.cut(h, args[2])
	case "deaf": // nothing reaches it
		s.heals["cut "+h.name] = s.w.cut(func(_, b int) bool { return b == h.machine })
	case "mute": // nothing comes from it
		s.heals["cut "+h.name] = s.w.cut(func(a, _ int) bool { return a == h.machine })
	case "heal":
		s.heals["cut "+args[0]]()
	case "etcd":
		s.etcd(args[0])
	case "suspend":
		s.w.suspend(h.machine)
	case "wake":
		s.w.wake(h.machine)
	case "slots": // the configuration gets permanent ones
		s.w.dynamic["slots"] = permanentSlots
		s.put(dcs.KeyConfig, cluster.EncodeJSON(s.w.dynamic))
	case "lag": // lag n2 3s
		h.lag, _ = time.ParseDuration(args[1])
	default:
		s.t.Fatalf("no such command: %s", verb)
	}
}

// cluster makes a settled cluster of three of which n1 is the primary, etcd on
// machines of its own. Settings are given as permit=1s, nofailover=n2, hosts=2.
func (s *stage) cluster(args []string) {
	set := usual()
	set.External = true
	s.heals = map[string]func(){}
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, "permit="); ok {
			set.Permit, _ = time.ParseDuration(v)
		}
		set.Failsafe = set.Failsafe || a == "failsafe"
		if v, ok := strings.CutPrefix(a, "nofailover="); ok {
			set.NoFail = v
		}
		if v, ok := strings.CutPrefix(a, "hosts="); ok {
			set.Hosts, _ = strconv.Atoi(v)
		}
	}
	s.w = NewWorld(1, set)
	s.w.telling = true
	s.w.hosts[0].agent.begin()
	if !s.w.RunUntil(time.Minute, func() bool { return s.w.leader() == s.w.hosts[0] }) {
		s.t.Fatalf("n1 did not create the cluster\n%s", s.w.Story(40))
	}
	s.w.Begin()
	if !s.w.RunUntil(time.Minute, s.w.settled) {
		s.t.Fatalf("the cluster did not settle\n%s", s.w.Story(40))
	}
	s.w.Run(20 * time.Second)
	s.from, s.start = len(s.w.lines), s.w.now
}

func (s *stage) stop(h *host, which string) func() {
	switch which {
	case "agent":
		return s.w.stopProcess(&h.agent.process)
	case "guard":
		return s.w.stopGuardOf(h)
	case "server":
		return s.w.stopProcess(&h.server.process)
	}
	s.t.Fatalf("no such process: %s", which)
	return nil
}

func (s *stage) kill(h *host, which string) {
	switch which {
	case "agent": // for good, unless it is started
		h.agent.kill()
		h.agent.stopping = true
	case "guard":
		h.guard.die()
		h.agent.wake()
	case "server":
		h.server.crash()
	}
}

func (s *stage) cut(h *host, from string) {
	m := h.machine
	far := func(i int) bool {
		switch from {
		case "etcd":
			return s.w.etcdOn(i) != nil
		case "others":
			return s.w.machines[i].host != nil
		case "all":
			return true
		}
		return s.w.machines[i].name == from
	}
	s.heals["cut "+h.name] = s.w.cut(func(a, b int) bool { return a == m && far(b) || b == m && far(a) })
}

func (s *stage) etcd(what string) {
	switch what {
	case "away":
		s.heals["etcd"] = s.w.loseEtcd()
	case "back":
		s.heals["etcd"]()
	case "leader": // the one it has is lost
		m := s.w.etcd.members[s.w.etcd.leader]
		m.end()
		s.w.review()
	}
}

func (s *stage) request(f cluster.Failover) {
	s.put(dcs.KeyFailover, f.Encode())
}

func (s *stage) put(key string, data []byte) {
	_, err := s.w.etcd.apply(dcs.Txn{Then: []dcs.Op{{Key: key, Data: data}}}, 0)
	if err != nil {
		s.t.Fatal(err)
	}
}

// told is the story since the cluster had settled, and how it ended.
func (s *stage) told() string {
	var b strings.Builder
	for _, line := range s.w.lines[s.from:] {
		stamp, text, _ := strings.Cut(strings.TrimSpace(line), "s  ")
		at, _ := strconv.ParseFloat(stamp, 64)
		fmt.Fprintf(&b, "%7.3fs  %s\n", at-s.start.seconds(), text)
	}
	primary := "nobody"
	if p := s.w.primary(); p != nil {
		primary = p.name
	}
	fmt.Fprintf(&b, "primary %s, longest time without one %v, %d promotions, %d freezes, settled %v\n",
		primary, s.w.worst.Round(time.Millisecond), s.w.promotions, s.w.freezes, s.w.settled())
	return b.String()
}
