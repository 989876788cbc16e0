package dcs

import "testing"

func TestView(t *testing.T) {
	v := Snapshot{Revision: 9, Values: map[string]Value{
		"leader": {Data: []byte("n1"), Modified: 7, Lease: 3}, "members/n1": {Data: []byte(`{"state":"running"}`), Modified: 8, Lease: 3},
	}}.View()
	if v.Revision != 9 || v.Leader.Name != "n1" || v.Leader.Modified != 7 || v.Leader.Lease != 3 || len(v.Members) != 1 || v.Members[0].State != "running" {
		t.Errorf("got %+v", v)
	}
}
