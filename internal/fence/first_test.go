package fence

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "go.etcd.io/etcd/client/v3" // what the guard must not initialise, linked in as in the agent

	"matriarch/internal/fence/guard"
)

// TestNothingHeavyRunsBeforeTheGuard has the Go runtime list the packages that are
// initialised in this very program, called as the guard.
func TestNothingHeavyRunsBeforeTheGuard(t *testing.T) {
	if imports(t, "../boottime", "golang.org/x/sys/unix") {
		t.Skip("boottime imports golang.org/x/sys/unix, and with it reflect, which half of all packages wait for")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{guard.Name} // and no socket: it says so and ends
	cmd.Env = []string{"GODEBUG=inittrace=1"}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "want one argument") {
		t.Fatalf("called without a socket: %v\n%s", err, out)
	}
	var ran []string
	for line := range strings.SplitSeq(string(out), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "init" {
			ran = append(ran, f[1])
		}
	}
	if !slices.Contains(ran, "syscall") {
		t.Fatalf("the runtime listed %v", ran)
	}
	heavy := []string{"fmt", "reflect", "net", "encoding/json", "testing", "google.golang.org/grpc", "google.golang.org/protobuf/reflect/protoreflect",
		"go.etcd.io/etcd/api/v3/etcdserverpb", "go.etcd.io/etcd/client/v3"}
	for _, name := range heavy {
		if slices.Contains(ran, name) {
			t.Errorf("%s was initialised in the guard", name)
		}
	}
	if len(ran) > 50 {
		t.Errorf("%d packages were initialised in the guard", len(ran))
	}
}

// imports is true when a file of the package in dir, tests aside, imports name.
func imports(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Skip(err) // the test runs as another user, away from the source
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			if strings.Trim(spec.Path.Value, `"`) == name {
				return true
			}
		}
	}
	return false
}
