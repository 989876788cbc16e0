package config

import (
	"slices"
	"testing"
)

func TestKeysAreConsistent(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Keys() {
		if seen[k.Path] {
			t.Errorf("%s stands twice in the table", k.Path)
		}
		seen[k.Path] = true
		if len(k.Choices) > 0 && k.Default != "" && !slices.Contains(k.Choices, k.Default) {
			t.Errorf("%s: the default %q is no choice", k.Path, k.Default)
		}
		switch k.Type {
		case TypeInt, TypeSeconds, TypeTime, TypeMemory:
			n, ok := ParseInt(k.Default, "")
			if k.Default != "" && !ok {
				t.Errorf("%s: the default %q is no integer", k.Path, k.Default)
			}
			if k.Default != "" && k.Min != nil && n < *k.Min {
				t.Errorf("%s: the default %d is below the minimum %d", k.Path, n, *k.Min)
			}
		case TypeBool, TypeSync:
			if _, ok := ParseBool(k.Default); k.Default != "" && !ok {
				t.Errorf("%s: the default %q is no boolean", k.Path, k.Default)
			}
		}
	}
	for _, path := range []string{"bootstrap.dcs.postgresql.data_dir", "bootstrap.dcs.postgresql.authentication", "postgresql.use_slots"} {
		if seen[path] {
			t.Errorf("%s cannot be given there", path)
		}
	}
	// Each variable of the environment sets a key that somebody reads.
	for _, v := range fixedVariables {
		n := keyTree()
		for _, name := range v.path {
			if n.key.Type == TypeMap && n != keyTree() {
				break // a free map
			}
			if n = n.children[name]; n == nil {
				t.Fatalf("PATRONI_%s sets the unknown key %v", v.name, v.path)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"listen", "connect_address", "use_pg_rewind", "use_slots", "pg_hba", "ttl", "username"}
	for name, want := range map[string]string{
		"lisen": "listen", "ilsten": "listen", "connect-address": "connect_address", "use_pgrewind": "use_pg_rewind",
		"PG_HBA": "pg_hba", "something": "", "tl": "ttl", "x": "", "": "",
		"user": "username", "conn": "connect_address", "use_": "", "pg_": "",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, test := range []struct {
		text string
		def  int
		want Listen
		ok   bool
	}{
		{"0.0.0.0:8008", 0, Listen{[]string{"0.0.0.0"}, 8008}, true},
		{":8008", 0, Listen{[]string{""}, 8008}, true},
		{"8008", 0, Listen{}, false},
		{"h", 5432, Listen{[]string{"h"}, 5432}, true},
		{"a, b:5433", 5432, Listen{[]string{"a", "b"}, 5433}, true},
		{"[::1]:5433", 0, Listen{[]string{"::1"}, 5433}, true},
		{"[::1]", 5432, Listen{[]string{"::1"}, 5432}, true},
		{"127.0.0.1,[::1]", 5432, Listen{[]string{"127.0.0.1", "::1"}, 5432}, true},
		{"::1", 5432, Listen{}, false},
		{"::", 5432, Listen{}, false},
		{"h:0", 5432, Listen{}, false},
		{"h:65536", 5432, Listen{}, false},
		{"http://h:80", 5432, Listen{}, false},
	} {
		got, err := parseListen(test.text, test.def)
		if (err == nil) != test.ok || test.ok && (got.Port != test.want.Port || !slices.Equal(got.Hosts, test.want.Hosts)) {
			t.Errorf("%q: %v %v", test.text, got, err)
		}
	}
}

func TestWords(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
		ok   bool
	}{
		{`a  b`, []string{"a", "b"}, true}, {`'a b' "c d"`, []string{"a b", "c d"}, true}, {`a\ b`, []string{"a b"}, true},
		{`"a\"b\c"`, []string{`a"b\c`}, true}, {`''`, []string{""}, true}, {`x='y z'`, []string{"x=y z"}, true},
		{``, nil, true}, {`'a`, nil, false}, {`a\`, nil, false}, {`'a\b'`, []string{`a\b`}, true},
	} {
		got, err := Words(test.text)
		if (err == nil) != test.ok || !slices.Equal(got, test.want) {
			t.Errorf("%q: %q %v", test.text, got, err)
		}
	}
}
