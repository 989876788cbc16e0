package postgres

import (
	"os"
	"strings"
	"testing"
)

// A second server on the port of the first, on another address of the machine,
// finds the socket's place taken, and must run all the same.
func TestTwoServersWithOnePort(t *testing.T) {
	builtIn := func(c *Config) { delete(c.Parameters, socketParameter) }
	first := newNode(t, "first", builtIn)
	if why := socketTaken(first.cfg().DataDir, first.cfg().Port); why != "" {
		t.Skip("the built-in socket directory cannot be used: " + why)
	}
	first.must(first.Bootstrap(within(t)))
	second := newNode(t, "second", builtIn, func(c *Config) {
		c.Port, c.ListenAddresses = first.cfg().Port, "127.0.115.2"
	})
	second.must(second.Bootstrap(within(t)))

	dir := second.cfg().ownSocketDir()
	text, err := os.ReadFile(second.cfg().data("postmaster.pid"))
	second.must(err)
	if got := strings.Split(string(text), "\n")[4]; got != dir {
		t.Errorf("the second server's socket is in %q", got)
	}
	again := second.Config()
	delete(again.Parameters, socketParameter)
	second.Reconfigure(again)
	if got, _ := second.cfg().parameter(socketParameter); got != dir {
		t.Errorf("after a new configuration the socket directory is %q", got)
	}
}
