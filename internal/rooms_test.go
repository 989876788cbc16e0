// Package internal_test holds the plan of the rooms: who may import whom.
package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const ours = "matriarch/internal/"

// room says which of our rooms a room may import, and why not more.
type room struct {
	may string
	why string
}

// rooms is the plan. A room may import the rooms above it, never one below. A
// folder that is not listed here has no place in the house yet.
var rooms = map[string]room{
	"wal":      {"", "order of positions, and nothing else"},
	"boottime": {"", "an instant, and nothing else"},
	"durable":  {"", "a file, and nothing else"},
	"logs":     {"", "lines for a file or a stream; whoever logs does not know it"},
	"cluster":  {"wal", "the shared picture: no I/O, no clocks"},
	"ha":       {"wal cluster", "decisions are pure; purity_test.go there says more"},

	"account": {"ha cluster wal", "tells what passes came to, and is no part of them"},

	"dcs":          {"cluster", "the store in our words"},
	"dcs/etcd":     {"dcs cluster", "an implementation knows the contract, not its users"},
	"dcs/embedded": {"dcs cluster durable", "a server knows nothing of who uses it"},
	"dcs/memory":   {"dcs cluster", "an implementation knows the contract, not its users"},
	"dcs/dcstest":  {"dcs cluster", "the contract tests every implementation alike, so it knows none"},

	"fence":          {"boottime fence/guard", "the agent's end of the guard"},
	"fence/guard":    {"boottime", "a process of its own that must stay small"},
	"fence/watchdog": {"boottime", "a device, and when to feed it; who leads it is told"},
	"permit":         {"boottime dcs cluster", "the right to write waits for nothing slow: no SQL, no files"},

	"pidone": {"", "a container's first process, and nothing else"},

	"callback": {"", "runs commands, and does not know what they are about"},

	"permit/wire": {"permit", "carries heartbeats, and decides nothing"},

	"postgres/conf": {"wal", "text only"},
	"postgres":      {"wal durable postgres/conf", "the hands on one server decide nothing and know no store"},

	"agent":       {"ha cluster wal dcs", "what it needs of a server and of peers it declares, and daemon joins them"},
	"agent/right": {"agent ha permit boottime wal", "the right to write in the words of the decisions, once for daemon and sim"},

	"api":        {"cluster wal", "what it needs of a node it declares"},
	"api/client": {"api cluster wal", "the other side of api"},
	"proxy":      {"", "it is told where the primary is"},
	"web":        {"", "files only"},
	"config":     {"cluster postgres/conf", "reading the file connects to nothing"},
	"generate":   {"config postgres/conf", "writes a file to begin with; it asks the server that it describes"},
	"store":      {"dcs dcs/etcd config cluster", "opens the store that the file names, for the daemon and for ctl"},
	"top":        {"cluster wal", "draws what others have fetched"},
	"ctl":        {"api/client dcs store config cluster wal top", "an operator's command needs no agent and no server"},

	"daemon": {"wal boottime durable cluster ha account callback dcs dcs/etcd dcs/embedded fence fence/watchdog permit permit/wire postgres postgres/conf agent agent/right api api/client proxy web config store logs",
		"joins all, and decides nothing"},
	"sim":  {"wal boottime cluster ha dcs dcs/memory agent agent/right fence permit", "stands in for servers and networks, so it must not need them"},
	"demo": {"wal cluster dcs dcs/etcd dcs/embedded config store api api/client durable postgres/conf", "runs real nodes as a user would, from outside"},
}

// cmd may reach for these alone: it picks a subcommand and an exit code.
const cmdMay = "daemon ctl demo config generate store api/client sim pidone"

// outside says which rooms may use what is not ours, and why only they.
var outside = []struct {
	prefix, rooms, why string
}{
	{"go.etcd.io/", "dcs/etcd dcs/embedded", "etcd's types end where our words begin"},
	{"google.golang.org/grpc", "dcs/etcd dcs/embedded", "etcd's transport"},
	{"google.golang.org/protobuf", "dcs/etcd dcs/embedded", "etcd's transport"},
	{"go.uber.org/zap", "dcs/etcd dcs/embedded", "etcd's log, turned into ours"},
	{"github.com/jackc/pgx", "postgres demo ctl generate", "SQL is spoken by the hands; demo writes as a client, ctl query and generate are some"},
	{"github.com/spf13/", "ctl cmd demo", "command lines are for people"},
	{"golang.org/x/term", "ctl cmd demo", "terminals are for people"},
	{"charm.land/bubbletea/", "ctl", "has the terminal while the live view is on it"},
	{"github.com/charmbracelet/x/ansi", "top", "how wide a text is on a terminal"},
	{"go.yaml.in/yaml/", "config ctl generate", "patroni.yml ends in config; ctl prints and edits YAML; generate writes a patroni.yml"},
	{"github.com/coreos/go-systemd/", "daemon", "the service manager is told by who starts and stops"},
	{"github.com/ncruces/go-strftime", "logs", "log.dateformat is strftime's"},
	{"golang.org/x/sys/", "durable fence fence/watchdog postgres daemon dcs/etcd dcs/embedded demo", "the kernel, at the edges"},
}

func TestEachRoomImportsOnlyWhatItMay(t *testing.T) {
	seen := 0
	walk(t, ".", func(folder, file string, imports []string) {
		if folder == "." {
			return
		}
		seen++
		plan, ok := rooms[folder]
		if !ok {
			t.Errorf("%s: the room %s is not in the plan", file, folder)
			return
		}
		for _, name := range imports {
			if name, ok := strings.CutPrefix(name, ours); ok && !slices.Contains(strings.Fields(plan.may), name) {
				t.Errorf("%s imports %s: %s may import only [%s]: %s", file, name, folder, plan.may, plan.why)
			}
			if folder != "deps" {
				foreign(t, folder, file, name)
			}
		}
	})
	if seen < 50 {
		t.Errorf("only %d files were looked at", seen)
	}
	walk(t, "../cmd/matriarch", func(_, file string, imports []string) {
		for _, name := range imports {
			if name, ok := strings.CutPrefix(name, ours); ok && !slices.Contains(strings.Fields(cmdMay), name) {
				t.Errorf("%s imports %s: cmd picks the subcommand and the exit code, nothing more", file, name)
			}
			foreign(t, "cmd", file, name)
		}
	})
}

// foreign judges an import that is neither ours nor of the standard library.
func foreign(t *testing.T, room, file, name string) {
	t.Helper()
	first, _, _ := strings.Cut(name, "/")
	if !strings.Contains(first, ".") {
		return
	}
	for _, o := range outside {
		if strings.HasPrefix(name, o.prefix) {
			if !slices.Contains(strings.Fields(o.rooms), room) {
				t.Errorf("%s imports %s, which is for [%s]: %s", file, name, o.rooms, o.why)
			}
			return
		}
	}
	t.Errorf("%s imports %s, which nobody has a reason for yet", file, name)
}

// TestThePlanHasNoCircle makes sure that the rooms have an order.
func TestThePlanHasNoCircle(t *testing.T) {
	done, open := map[string]bool{}, map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		if done[name] {
			return
		}
		if open[name] {
			t.Fatalf("%s imports itself round about", name)
		}
		open[name] = true
		plan, ok := rooms[name]
		if !ok {
			t.Fatalf("%s is imported but not in the plan", name)
		}
		for _, next := range strings.Fields(plan.may) {
			visit(next)
		}
		done[name] = true
	}
	for name := range rooms {
		visit(name)
	}
}

// walk calls look for every Go file below root that is no test.
func walk(t *testing.T, root string, look func(folder, file string, imports []string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, name)
		}
		look(path.Dir(filepath.ToSlash(file)), file, imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
