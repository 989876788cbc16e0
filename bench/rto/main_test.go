package main

import (
	"path/filepath"
	"slices"
	"testing"

	"matriarch/bench/rto/cluster"
	"matriarch/bench/rto/report"
)

func TestWhatIsMissing(t *testing.T) {
	file := &report.File{}
	file.Put(report.Result{System: cluster.Patroni, Setup: "guide", Case: "stop", Versions: map[string]string{"patroni": "4", "PostgreSQL": "15", "etcd": "3"},
		Runs: []report.Run{{Outage: 1}, {Outage: 2}}})
	file.Put(report.Result{System: cluster.Patroni, Setup: "guide", Case: "switchover", Versions: map[string]string{"patroni": "3", "PostgreSQL": "15", "etcd": "3"},
		Runs: []report.Run{{Outage: 1}, {Outage: 2}}})
	path := filepath.Join(t.TempDir(), "results.json")
	if err := file.Write(path); err != nil {
		t.Fatal(err)
	}
	guide := cluster.Setup{System: cluster.Patroni, Name: "guide"}
	base := options{json: path, runs: 2, resume: true, cases: "switchover,stop,etcd"}
	base.programs.Versions = map[string]string{"patroni": "4", "PostgreSQL": "15", "etcd": "3"}
	for _, c := range []struct {
		name   string
		change func(*options, *cluster.Setup)
		want   []string
	}{
		{"what is there with the same versions is not measured again", func(*options, *cluster.Setup) {}, []string{"switchover", "etcd"}},
		{"more runs than are there are wanted", func(o *options, _ *cluster.Setup) { o.runs = 3 }, []string{"switchover", "stop", "etcd"}},
		{"without -resume everything is measured", func(o *options, _ *cluster.Setup) { o.resume = false }, []string{"switchover", "stop", "etcd"}},
		{"a setup has cases of its own", func(_ *options, s *cluster.Setup) { s.Cases = []string{"etcd", "partition"} }, []string{"etcd"}},
		{"no etcd to be taken away", func(_ *options, s *cluster.Setup) { s.Embedded = true }, []string{"switchover"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, s := base, guide
			c.change(&o, &s)
			list, err := missing(o, s)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, k := range list {
				got = append(got, k.Name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
