// Package e2e shows on real servers what the system promises: whole clusters are
// set up, hurt and watched. See package lab for how.
//
// E2E_KEEP=1 keeps the directory of the run, E2E_BINARY tests a program that is
// built already, E2E_MEASURE=1 measures outages and memory. The tests do not
// import the program, so the cache of go test does not know when it has changed:
// run them with -count=1.
package e2e

import (
	"os"
	"testing"

	"matriarch/test/e2e/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }
