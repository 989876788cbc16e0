package ctl

import (
	"testing"

	"matriarch/internal/cluster"
)

// What a rejoining member is doing is for people. Scripts compare the state.
func TestProgressIsShownToPeople(t *testing.T) {
	p := newPicture("harbor", cluster.View{Members: []cluster.Member{
		{Name: "pier2", State: cluster.StateCreatingCopy, Progress: "base backup 42%"},
	}})
	if got := p.rows(true)[0]["State"]; got != "creating replica (base backup 42%)" {
		t.Errorf("for people: %v", got)
	}
	if got := p.rows(false)[0]["State"]; got != "creating replica" {
		t.Errorf("for machines: %v", got)
	}
}
