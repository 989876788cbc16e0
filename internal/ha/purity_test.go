package ha

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
)

// allowed is all that the core may import. What it cannot import it cannot do by
// accident.
var allowed = map[string]string{
	"matriarch/internal/cluster": "the picture that is decided about",
	"matriarch/internal/wal":     "positions and histories",
	"slices":                     "pure",
	"strings":                    "pure",
	"time":                       "for Time and Duration; its calls are looked for below",
}

// banned says why, for the imports that somebody might want most.
var banned = map[string]string{
	"context":       "a decision does not wait",
	"log":           "a plan carries its reason; the agent logs it",
	"log/slog":      "a plan carries its reason; the agent logs it",
	"fmt":           "a reason is a value, not a sentence; and Print is I/O",
	"maps":          "Keys and Values come in no order; sort what leaves a map",
	"math/rand":     "jitter comes in with the observation",
	"math/rand/v2":  "jitter comes in with the observation",
	"crypto/rand":   "jitter comes in with the observation",
	"os":            "no files",
	"io":            "no files",
	"net":           "no network",
	"net/http":      "no network",
	"sync":          "one goroutine",
	"sync/atomic":   "one goroutine",
	"runtime":       "equal observations give equal plans on every machine",
	"unsafe":        "an address differs from run to run",
	"reflect":       "actions are told apart by their type",
	"encoding/json": "what the store holds is read in cluster",

	"matriarch/internal/dcs":      "decisions see a view, not a store",
	"matriarch/internal/postgres": "decisions see a Server value, not a server",
	"matriarch/internal/agent":    "the agent asks the core, not the other way round",
	"matriarch/internal/boottime": "instants come in with the observation",
}

// clock are the calls of package time that read a clock or wait.
var clock = map[string]bool{"Now": true, "Since": true, "Until": true, "After": true, "AfterFunc": true,
	"Tick": true, "NewTicker": true, "NewTimer": true, "Sleep": true, "LoadLocation": true}

// mapRanges are the functions that may walk over a map, with the reason why its
// order cannot reach the plan.
var mapRanges = map[string]string{
	"retained": "sorted before it is returned",
}

func sources(t *testing.T) (*token.FileSet, map[string]*ast.File) {
	t.Helper()
	set, files := token.NewFileSet(), map[string]*ast.File{}
	names, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = file
	}
	if len(files) < 10 {
		t.Fatalf("found only %d files of the core", len(files))
	}
	return set, files
}

func TestTheCoreImportsNothingThatActs(t *testing.T) {
	_, files := sources(t)
	for name, file := range files {
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := allowed[path]; ok && spec.Name == nil {
				continue
			}
			why, ok := banned[path]
			if !ok {
				why = "it is not among the few that a decision needs; add it with a reason if it is pure, and do not rename it"
			}
			t.Errorf("%s imports %s: %s", name, path, why)
		}
	}
}

func TestTheCoreReadsNoClockAndStartsNothing(t *testing.T) {
	set, files := sources(t)
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			complain := func(what string) { t.Errorf("%s: %s", set.Position(n.Pos()), what) }
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && x.Obj == nil && clock[n.Sel.Name] {
					complain("time." + n.Sel.Name + ": the time is in the observation")
				}
			case *ast.GoStmt:
				complain("a goroutine: a decision is made on the spot")
			case *ast.ChanType, *ast.SendStmt, *ast.SelectStmt:
				complain("a channel: a decision does not wait")
			case *ast.UnaryExpr:
				if n.Op == token.ARROW {
					complain("a receive: a decision does not wait")
				}
			case *ast.GenDecl:
				if n.Tok == token.VAR && len(n.Specs) > 0 {
					for _, spec := range n.Specs {
						packageVariable(t, set, file, spec.(*ast.ValueSpec))
					}
				}
			}
			return true
		})
	}
}

// packageVariable finds variables of the package: a decision that remembers reads
// more than its argument. A table that is never written to is none.
func packageVariable(t *testing.T, set *token.FileSet, file *ast.File, spec *ast.ValueSpec) {
	for _, name := range spec.Names {
		if file.Scope.Lookup(name.Name) != nil && file.Scope.Lookup(name.Name).Decl == spec && name.Name != "reasonText" {
			t.Errorf("%s: package variable %s: what is remembered is in the observation", set.Position(spec.Pos()), name.Name)
		}
	}
}

// TestNoMapOrderReachesThePlan finds every loop over a map. It goes by what is
// declared in the package itself: a field or variable of a map type.
func TestNoMapOrderReachesThePlan(t *testing.T) {
	set, files := sources(t)
	fields := map[string]bool{"Slots": false, "Seen": true, "Failsafe": true, "Tags": true, "Document": true, "Dynamic": true, "PendingRestart": true}
	used := map[string]bool{}
	for _, file := range files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			locals := mapLocals(f)
			ast.Inspect(f, func(n ast.Node) bool {
				loop, ok := n.(*ast.RangeStmt)
				if !ok {
					return true
				}
				over := ""
				switch x := loop.X.(type) {
				case *ast.Ident:
					if locals[x.Name] {
						over = x.Name
					}
				case *ast.SelectorExpr:
					inner, _ := x.X.(*ast.SelectorExpr)
					status := inner != nil && inner.Sel.Name == "Status" // Status.Slots is a map, Server.Slots is not
					if fields[x.Sel.Name] || x.Sel.Name == "Slots" && status {
						over = x.Sel.Name
					}
				}
				if over == "" {
					return true
				}
				used[f.Name.Name] = true
				if _, ok := mapRanges[f.Name.Name]; !ok {
					t.Errorf("%s: %s ranges over the map %s: equal observations must give equal plans; sort, and say so in mapRanges",
						set.Position(loop.Pos()), f.Name.Name, over)
				}
				return true
			})
		}
	}
	for name := range mapRanges {
		if !used[name] {
			t.Errorf("mapRanges lists %s, which ranges over no map", name)
		}
	}
}

// mapLocals are the variables of a function that are made as maps, or come from
// wantedSlots.
func mapLocals(f *ast.FuncDecl) map[string]bool {
	locals := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		assign, ok := n.(*ast.AssignStmt)
		if !ok || len(assign.Lhs) != len(assign.Rhs) {
			return true
		}
		for i, right := range assign.Rhs {
			name, ok := assign.Lhs[i].(*ast.Ident)
			if !ok {
				continue
			}
			switch r := right.(type) {
			case *ast.CompositeLit:
				_, isMap := r.Type.(*ast.MapType)
				locals[name.Name] = locals[name.Name] || isMap
			case *ast.CallExpr:
				if s, ok := r.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "wantedSlots" {
					locals[name.Name] = true
				}
				if id, ok := r.Fun.(*ast.Ident); ok && id.Name == "make" {
					_, isMap := r.Args[0].(*ast.MapType)
					locals[name.Name] = locals[name.Name] || isMap
				}
			}
		}
		return true
	})
	return locals
}
