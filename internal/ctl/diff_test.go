package ctl

import (
	"strings"
	"testing"
)

func TestUnifiedDiff(t *testing.T) {
	lines := func(s string) string { return strings.ReplaceAll(s, " ", "\n") + "\n" }
	for _, c := range []struct{ before, after, want string }{
		{lines("a b c"), lines("a b c"), ""},
		{lines("a b c"), "", "@@ -1,3 +0,0 @@|-a|-b|-c"},
		{"", lines("a"), "@@ -0,0 +1 @@|+a"},
		{lines("a"), lines("b"), "@@ -1 +1 @@|-a|+b"},
		{lines("1 2 3 4 5 6 7 8 9"), lines("1 2 3 4 x 6 7 8 9"), "@@ -2,7 +2,7 @@| 2| 3| 4|-5|+x| 6| 7| 8"},
		// Six common lines between two changes join them, seven do not.
		{lines("a 1 2 3 4 5 6 b"), lines("x 1 2 3 4 5 6 y"), "@@ -1,8 +1,8 @@|-a|+x| 1| 2| 3| 4| 5| 6|-b|+y"},
		{lines("a 1 2 3 4 5 6 7 b"), lines("x 1 2 3 4 5 6 7 y"), "@@ -1,4 +1,4 @@|-a|+x| 1| 2| 3|@@ -6,4 +6,4 @@| 5| 6| 7|-b|+y"},
	} {
		got := strings.TrimPrefix(strings.Join(unifiedDiff(c.before, c.after), "|"), "--- |+++ |")
		if got != c.want {
			t.Errorf("%q → %q:\n%s\nwant\n%s", c.before, c.after, got, c.want)
		}
	}
}

// A diff that is applied gives the new text, whatever the two are.
func FuzzUnifiedDiff(f *testing.F) {
	f.Add("a\nb\nc\n", "b\nc\nd\n")
	f.Add("a\na\nb\na\n", "a\nb\na\na\n")
	f.Fuzz(func(t *testing.T, before, after string) {
		a, b := splitLines(before), splitLines(after)
		if len(a) > 200 || len(b) > 200 {
			t.Skip()
		}
		var rebuilt []string
		at := 0
		for _, c := range changes(a, b) {
			rebuilt = append(append(rebuilt, a[at:c.alo]...), b[c.blo:c.bhi]...)
			at = c.ahi
		}
		rebuilt = append(rebuilt, a[at:]...)
		if strings.Join(rebuilt, "\n") != strings.Join(b, "\n") || len(rebuilt) != len(b) {
			t.Errorf("%q → %q gives %q", before, after, rebuilt)
		}
	})
}
