package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func ms(v float64) *float64 { return &v }

func TestThePageShowsMedianAndSpread(t *testing.T) {
	dir := t.TempDir()
	f := &File{}
	f.Put(Result{System: "matriarch", Setup: "guide", Case: "loss", Runs: []Run{{Outage: 900}, {Outage: 1100, DualPossible: 100}, {Outage: 1300, ClientLag: 7, Others: 0.12}}})
	f.Put(Result{System: "patroni", Setup: "guide", Case: "loss", Versions: map[string]string{"patroni": "4"}, Runs: []Run{
		{Outage: 24200, EtcdLeader: true, Dual: 0, DualPossible: 0, Rejoin: ms(2000)},
		{Outage: 99999, Error: "no primary"},
	}})
	f.Put(Result{System: "patroni", Setup: "guide", Case: "kill", Runs: []Run{{Dual: 14000, DualPossible: 14500, Lost: 1400, Repeated: 2}}})
	path := filepath.Join(dir, "results.json")
	if err := f.Write(path); err != nil {
		t.Fatal(err)
	}
	f, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "page.md")
	if err := Page(f, []Heading{{"loss", "loss of the node"}, {"kill", "kill of the agent"}, {"none", "never measured"}}, out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| case | Patroni, guide | Matriarch, guide |",
		"| loss of the node | **24.2 s** | **1.10 s** (900 ms – 1.30 s) |", // the failed run does not count
		"| kill of the agent | **14.0 s** |  |",
		"| kill of the agent | **1400** |  |",
		"| loss of the node | 24.20*, failed | 0.90, 1.10, 1.30 |",
		"- Patroni, guide, loss of the node, run 2: no primary\n",
		"- Matriarch, guide, loss of the node, run 2: 0 proven, at most 100 ms\n",
		"late by 7 ms at most, and others used 12 % of the processors at most; 2 runs were thrown away",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if strings.Contains(string(text), "at most 14.5 s") {
		t.Error("bounds that are close to each other are listed")
	}
	if strings.Contains(string(text), "never measured") {
		t.Error("a case without figures has a row")
	}
	if !strings.Contains(string(text), strings.TrimSpace(localText)+"\n\nNot measured.\n") {
		t.Error("a table without figures")
	}
	if t.Failed() {
		t.Log(string(text))
	}
}

func TestAResultTakesThePlaceOfTheEarlierOne(t *testing.T) {
	f := &File{}
	f.Put(Result{System: "a", Setup: "b", Case: "c", Runs: []Run{{Outage: 1}}})
	f.Put(Result{System: "a", Setup: "b", Case: "d"})
	f.Put(Result{System: "a", Setup: "b", Case: "c", Runs: []Run{{Outage: 2}}})
	if len(f.Results) != 2 || f.Find("a", "b", "c").Runs[0].Outage != 2 {
		t.Errorf("%+v", f.Results)
	}
}

func TestAFileThatIsNotThereIsEmpty(t *testing.T) {
	f, err := Read(filepath.Join(t.TempDir(), "none.json"))
	if err != nil || len(f.Results) != 0 {
		t.Errorf("%+v, %v", f, err)
	}
}
