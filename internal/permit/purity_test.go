package permit

import (
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// loop is the one file that acts: the goroutine around the state machines.
const loop = "runner"

// allowed is all that the state machines may import: no clock, no goroutine, no
// store, no network, so that the simulator drives what the agent drives.
var allowed = map[string]string{
	"encoding/json":               "the key's value",
	"errors":                      "which answer an error is",
	"iter":                        "pure",
	"maps":                        "keys, which are sorted",
	"reflect":                     "whether two contents of the mirror are one",
	"slices":                      "pure",
	"time":                        "for Duration",
	"matriarch/internal/boottime": "for Instant",
	"matriarch/internal/cluster":  "how JSON is written",
	"matriarch/internal/dcs":      "transactions, as values",
}

func TestTheRightToWriteIsDecidedWithoutActing(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") || strings.HasPrefix(f.Name(), loop) {
			continue
		}
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), text, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		looked++
		for _, spec := range parsed.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if _, ok := allowed[path]; !ok {
				t.Errorf("%s imports %s", f.Name(), path)
			}
		}
		for _, call := range []string{"time.Now", "time.Since", "time.After", "time.NewTimer", "time.Sleep", "boottime.Now", "\tgo "} {
			if strings.Contains(string(text), call) {
				t.Errorf("%s has %s", f.Name(), call)
			}
		}
	}
	if looked < 8 {
		t.Errorf("looked at %d files only", looked)
	}
}
