package cluster

import (
	"slices"
	"testing"
)

func TestStandbyNames(t *testing.T) {
	for text, want := range map[string]StandbyNames{
		"":                           {},
		"  ":                         {},
		"*":                          {Count: 1, Names: []string{"*"}},
		"node1":                      {Count: 1, Names: []string{"node1"}},
		"a, b":                       {Count: 1, Names: []string{"a", "b"}},
		"2 (b,a)":                    {Count: 2, Names: []string{"b", "a"}},
		"FIRST 2 (a, b, c)":          {Count: 2, Names: []string{"a", "b", "c"}},
		"any 1 (a,b)":                {Any: true, Count: 1, Names: []string{"a", "b"}},
		`ANY 1 ("node-1","we""ird")`: {Any: true, Count: 1, Names: []string{"node-1", `we"ird`}},
		`1 (*)`:                      {Count: 1, Names: []string{"*"}},
		`"any"`:                      {Count: 1, Names: []string{"any"}},
		"any":                        {Count: 1, Names: []string{"any"}},
		"first, any":                 {Count: 1, Names: []string{"first", "any"}},
	} {
		if got, ok := ParseStandbyNames(text); !ok || got.Any != want.Any || got.Count != want.Count || !slices.Equal(got.Names, want.Names) {
			t.Errorf("%q: %+v %v, want %+v", text, got, ok, want)
		}
	}
	for _, text := range []string{"a b", "2 (", "2 (a", "0 (a)", "ANY (a)", "ANY x (a)", "ANY 2 a", `"a`, "a,", ",a", "2 (a,)", "2 ()", "2 (a) b", "(a)"} {
		if got, ok := ParseStandbyNames(text); ok {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}

// What is written is what PostgreSQL reads back as the same.
func TestStandbyNamesAreWrittenAsPatroniDoes(t *testing.T) {
	for want, names := range map[string]StandbyNames{
		"":                        {},
		"node1":                   {Count: 1, Names: []string{"node1"}},
		`"node-1"`:                {Count: 1, Names: []string{"node-1"}},
		`"1node"`:                 {Count: 1, Names: []string{"1node"}},
		`"First"`:                 {Count: 1, Names: []string{"First"}},
		"2 (a,b)":                 {Count: 2, Names: []string{"b", "a"}},
		"*":                       {Count: 1, Names: []string{"*"}},
		"ANY 1 (*)":               {Any: true, Count: 1, Names: []string{"*"}},
		"ANY 1 (a)":               {Any: true, Count: 1, Names: []string{"a"}},
		`ANY 2 ("a b","c""d",e$)`: {Any: true, Count: 2, Names: []string{"e$", "a b", `c"d`}},
	} {
		if got := names.String(); got != want {
			t.Errorf("%+v is written as %s, want %s", names, got, want)
		}
		if back, ok := ParseStandbyNames(want); !ok || !back.Same(names) {
			t.Errorf("%s is read back as %+v %v", want, back, ok)
		}
	}
	if (StandbyNames{Count: 1, Names: []string{"A"}}).Same(StandbyNames{Count: 1, Names: []string{"b"}}) {
		t.Error("different names are the same")
	}
	if got := (StandbyNames{Count: 1, Names: []string{"a", "*"}}).Members(); !slices.Equal(got, []string{"a"}) {
		t.Error(got)
	}
}
