package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestStylesOfRealFiles validates a file of each kind that is met in the field. What
// validate says of it is beside it; -update writes that anew, and the diff is read.
func TestStylesOfRealFiles(t *testing.T) {
	t.Chdir("testdata/styles")
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".golden") {
			continue
		}
		seen++
		name := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name()))
		t.Run(name, func(t *testing.T) {
			path, environ := e.Name(), []string{"HOME=/nonexistent"}
			if filepath.Ext(path) == ".env" {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				path, environ = "no-such-file", append(environ, strings.Split(string(text), "\n")...)
			}
			var out bytes.Buffer
			p := process{in: strings.NewReader(""), out: &out, err: &out, environ: environ}
			if code := p.run("matriarch", []string{"validate", "--offline", path}); code == 0 != strings.Contains(out.String(), " is usable: node ") {
				t.Errorf("exit %d", code)
			}
			if strings.Contains(out.String(), "-pass") {
				t.Errorf("a password is shown:\n%s", out.String())
			}
			if *update {
				if err := os.WriteFile(name+".golden", out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name + ".golden")
			if err != nil || out.String() != string(want) {
				t.Errorf("%v, got\n%s\nwant\n%s", err, out.String(), want)
			}
		})
	}
	if seen < 10 {
		t.Errorf("only %d files", seen)
	}
}
