package ctl

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestFullList(t *testing.T) {
	w := newWorld(t, harbor)
	w.put("config", `{"pause":true,"synchronous_mode":true}`)
	w.put("failover", `{"leader":"pier1","scheduled_at":"2030-06-07T08:09:00+00:00"}`)
	w.put("status", `{"optime":67109400}`)
	w.set("pier2", "pending_restart", true)
	w.set("pier2", "pending_restart_reason", map[string]any{"a": map[string]string{"old_value": "1", "new_value": "2"}, "b": map[string]string{"old_value": "off", "new_value": "off"}})
	w.set("pier2", "tags", map[string]any{"zone": "east"})
	out, errs, code := w.run("list", "--full")
	var got struct {
		Cluster, Leader, System string
		Pause                   bool
		Switchover              struct{ At, From string } `json:"scheduled_switchover"`
		Members                 []struct {
			Name, Role string
			Lag        *int              `json:"replay_lag_bytes"`
			Reason     map[string]any    `json:"pending_restart_reason"`
			Tags       map[string]string `json:"tags"`
			Scheduled  any               `json:"scheduled_restart"`
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || errs != "" || code != 0 || strings.Count(out, "\n") != 1 {
		t.Fatalf("%v, exit %d\n%s%s", err, code, out, errs)
	}
	if got.Cluster != "harbor" || got.Leader != "pier1" || !got.Pause || got.Switchover.From != "pier1" || len(got.Members) != 3 {
		t.Errorf("got %+v", got)
	}
	if m := got.Members[0]; m.Lag != nil || m.Role != "leader" {
		t.Errorf("leader: %+v", m)
	}
	if m := got.Members[1]; m.Lag == nil || *m.Lag != 40 || len(m.Reason) != 1 || m.Tags["zone"] != "east" || m.Scheduled != nil {
		t.Errorf("standby: %+v", m)
	}
	if out, _, _ := w.run("list", "--full", "-f", "yaml", "nosuch"); !strings.Contains(out, "initialized: false\nleader: null\nmembers: []\n") {
		t.Error(out)
	}
	if out, _, _ := newFlotilla(t).run("list", "--full"); !strings.Contains(out, `"groups": [{"cluster": "flotilla", "group": 0,`) {
		t.Error(out)
	}
}
