package guard

import "testing"

// BenchmarkScan looks at every process of the machine once.
func BenchmarkScan(b *testing.B) {
	var s scanner
	var procs []proc
	for b.Loop() {
		var err error
		if procs, err = s.all(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(procs)), "processes")
}
