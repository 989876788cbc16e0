package fence

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	_ "go.etcd.io/etcd/client/v3" // what the guard must not initialise, linked in as in the agent

	"matriarch/internal/fence/guard"
)

// TestNothingHeavyRunsBeforeTheGuard has the Go runtime list the packages that are
// initialised in this very program, called as the guard.
func TestNothingHeavyRunsBeforeTheGuard(t *testing.T) {
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
