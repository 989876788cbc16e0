package main

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// TestCtrlCInAnEditorIsTheEditors: SIGTERM counts in any case.
func TestCtrlCInAnEditorIsTheEditors(t *testing.T) {
	for _, c := range []struct {
		name   string
		held   bool
		signal syscall.Signal
		ends   bool
	}{
		{"Ctrl-C", false, syscall.SIGINT, true},
		{"Ctrl-C while an editor runs", true, syscall.SIGINT, false},
		{"SIGTERM while an editor runs", true, syscall.SIGTERM, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var i interrupts
			ctx, stop := i.context(t.Context())
			defer stop()
			if c.held {
				defer i.hold()()
			}
			if err := syscall.Kill(os.Getpid(), c.signal); err != nil {
				t.Fatal(err)
			}
			limit := 5 * time.Second
			if !c.ends {
				limit = 100 * time.Millisecond
			}
			select {
			case <-ctx.Done():
				if !c.ends {
					t.Error("the command was ended")
				}
			case <-time.After(limit):
				if c.ends {
					t.Error("the command was not ended")
				}
			}
		})
	}
}
