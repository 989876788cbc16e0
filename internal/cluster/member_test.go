package cluster

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"matriarch/internal/wal"
)

// TestAPlainAddressIsReadLikeAnyOther: what is read without url.Parse must be what
// that would say.
func TestAPlainAddressIsReadLikeAnyOther(t *testing.T) {
	plain := 0
	for _, address := range []string{
		"postgres://n1:5432/postgres", "postgres://10.0.0.1:5432/app_1", "postgres://n1.example.com/my-app", "postgres://n1:5432", "postgres://n1:/a",
		"postgres:///app", "postgres://", "postgres://n1:port/a", "postgres://n1:1:2/a", "postgres://[::1]:5432/a", "postgres://u:p@n1:5432/a",
		"postgres://n1,n2:5432/a", "postgres://n1:5432/a?b=c", "postgres://n1:5432/a%20b", "postgres://n1:5432/a%zz", "postgres://n1:5432/a#b",
		"postgres://n1:5432/a/b", "postgres://n1:5432//a", "postgres://n1:5432/ä", "postgres://n1?x", "postgresql://n1:5432/a", "n1:5432/a", "", "postgres://n 1/a",
	} {
		u, err := url.Parse(address)
		want := ""
		if err == nil {
			want = strings.TrimPrefix(u.Path, "/")
		}
		if got := (Member{ConnURL: address}).Database(); got != want {
			t.Errorf("%s: database %q, want %q", address, got, want)
		}
		if _, ok := plainPath(address); ok {
			plain++
		}
	}
	if plain != 7 {
		t.Errorf("%d addresses are plain, want 7", plain)
	}
}

func TestSlotNames(t *testing.T) {
	for member, want := range map[string]string{
		"n1": "n1", "node_2": "node_2", "N1": "n1", "a-b.c": "a_b_c", "a b": "au0032b", "ä": "u0228", "": "",
		strings.Repeat("x", 63): strings.Repeat("x", 63), strings.Repeat("x", 64): strings.Repeat("x", 63),
	} {
		if got := SlotName(member); got != want {
			t.Errorf("%q: %q, want %q", member, got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	for text, want := range map[string][3]int{"4.1.4": {4, 1, 4}, "0.0.10": {0, 0, 10}} {
		if got, ok := Version3(text); !ok || got != want {
			t.Errorf("%s: %v %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "4", "4.1", "4.1.", "4.1.4.1", "4.1.x", "..", "4.1.4 "} {
		if got, ok := Version3(text); ok {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

// TestStatesAreEqualWhenTheyAreWrittenAlike: a leader that takes two for equal does not
// write.
func TestStatesAreEqualWhenTheyAreWrittenAlike(t *testing.T) {
	states := []Status{
		{}, {Known: true}, {Optime: 5}, {Optime: 6}, {Optime: 5, Slots: map[string]wal.LSN{}}, {Optime: 5, Slots: map[string]wal.LSN{"a": 1}},
		{Optime: 5, Slots: map[string]wal.LSN{"a": 2}}, {Optime: 5, Slots: map[string]wal.LSN{"a": 1, "b": 0}}, {Optime: 5, Retain: []string{}},
		{Optime: 5, Retain: []string{"a", "b"}}, {Optime: 5, Retain: []string{"b", "a"}}, {Optime: 5, Retain: []string{"a"}},
	}
	for _, a := range states {
		for _, b := range states {
			if alike := reflect.DeepEqual(a.Encode(), b.Encode()); a.Equal(b) != alike {
				t.Errorf("%s and %s: equal %v", a.Encode(), b.Encode(), a.Equal(b))
			}
		}
	}
}
