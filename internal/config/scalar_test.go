package config

import (
	"strings"
	"testing"
)

func TestPlainScalarsAreYAML11(t *testing.T) {
	for _, test := range []struct {
		text string
		kind Kind
		want string // printed, as Patroni prints it
	}{
		{"on", KindBool, "True"}, {"Off", KindBool, "False"}, {"YES", KindBool, "True"}, {"no", KindBool, "False"},
		{"true", KindBool, "True"}, {"oN", KindString, "oN"}, {"y", KindString, "y"}, {"n", KindString, "n"},
		{"~", KindNull, ""}, {"null", KindNull, ""}, {"NULL", KindNull, ""}, {"", KindNull, ""}, {"nUll", KindString, "nUll"},
		{"0", KindInt, "0"}, {"0644", KindInt, "420"}, {"-010", KindInt, "-8"}, {"0o644", KindString, "0o644"},
		{"08", KindString, "08"}, {"1_000", KindInt, "1000"}, {"_1", KindString, "_1"}, {"0x1F", KindInt, "31"},
		{"0X1F", KindString, "0X1F"}, {"0b101", KindInt, "5"}, {"0b_", KindString, "0b_"}, {"+7", KindInt, "7"},
		{"12:30", KindInt, "750"}, {"-1:30", KindInt, "-90"}, {"5432:60", KindString, "5432:60"}, {"012:30", KindString, "012:30"},
		{"127.0.0.1:8008", KindString, "127.0.0.1:8008"}, {"::1", KindString, "::1"},
		{"99999999999999999999999", KindInt, "99999999999999999999999"},
		{"1.5", KindFloat, "1.5"}, {"1.", KindFloat, "1.0"}, {".5", KindFloat, "0.5"}, {"-.5", KindString, "-.5"}, {"1e5", KindString, "1e5"},
		{"1.5e3", KindString, "1.5e3"}, {"1.5e+3", KindFloat, "1500.0"}, {"1.0e+16", KindFloat, "1e+16"},
		{"1.0e-5", KindFloat, "1e-05"}, {"0.0001", KindFloat, "0.0001"}, {"1:30.5", KindFloat, "90.5"},
		{"-.inf", KindFloat, "-inf"}, {".NaN", KindFloat, "nan"}, {".", KindString, "."}, {"1.2.3", KindString, "1.2.3"},
		{"2024-01-01", KindTimestamp, "2024-01-01"}, {"2024-01-01 00:00:00", KindTimestamp, "2024-01-01 00:00:00"},
		{"2024-1-1", KindString, "2024-1-1"}, {"2024-02-30", KindString, "2024-02-30"},
		{"2024-01-01T10:20:30.5Z", KindTimestamp, "2024-01-01 10:20:30.500000+00:00"},
		{"2024-01-01 10:20:30 +2", KindTimestamp, "2024-01-01 10:20:30+02:00"},
		{strings.Repeat("9", 1000), KindString, strings.Repeat("9", 1000)},
	} {
		v := plainScalar(test.text, Position{})
		if v.Kind != test.kind || v.Text() != test.want {
			t.Errorf("%q: %s %q, want %s %q", test.text, v.Kind, v.Text(), test.kind, test.want)
		}
	}
}

func TestDocuments(t *testing.T) {
	for _, test := range []struct {
		name, text, path, want string
	}{
		{"quotes keep text", `a: "on"`, "a", "on"},
		{"a tag keeps text", "a: !!str 0644", "a", "0644"},
		{"a tag makes a number", `a: !!int "0x10"`, "a", "16"},
		{"a merge key gives what is missing", "d: &d {x: 1, y: 2}\na:\n  <<: *d\n  y: 3", "a.x", "1"},
		{"a merge key overrides nothing", "d: &d {x: 1, y: 2}\na:\n  <<: *d\n  y: 3", "a.y", "3"},
		{"the first of several merged maps wins", "a:\n  <<: [{x: 1}, {x: 2, y: 2}]", "a.x", "1"},
		{"an alias repeats a value", "d: &d [1, 2]\na: {x: *d}", "a.x", ""},
		{"a key is text", "a: {1: x}", "a.1", "x"},
		{"a boolean key is JSON's", "a: {on: x}", "a.true", "x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			report := &Report{}
			v, err := parse([]byte(test.text), "f", report)
			if err != nil || len(report.Problems) > 0 {
				t.Fatal(err, report.Problems)
			}
			r := reader{root: v, report: report}
			got := r.get(test.path)
			if got == nil || got.Text() != test.want {
				t.Errorf("got %q of %s", got.Text(), got)
			}
		})
	}
}

func TestDocumentsThatCannotBeRead(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += strings.NewReplacer("N", string(c), "P", string(c-1)).Replace("N: &N [*P,*P,*P,*P,*P,*P,*P,*P,*P]\n")
	}
	for _, test := range []struct{ name, text, want string }{
		{"syntax", "a: [1,\nb: }\n", "read f: line 2: did not find expected node content"},
		{"a second document", "a: 1\n---\nb: 2\n", "read f:2: a second YAML document begins; there must be one"},
		{"aliases without end", bomb, "more than 100000 values after expanding aliases"},
		{"an alias in its own anchor", "a: &a [*a]", "read f:1: an alias stands inside its own anchor"},
		{"a password that looks like an alias", "password: *sesame", "read f: line 1: unknown anchor … referenced"},
		{"too deep", strings.Repeat("[", 200) + strings.Repeat("]", 200), "nested more than 100 levels deep"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse([]byte(test.text), "f", &Report{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestParseInt(t *testing.T) {
	for _, test := range []struct {
		text, base string
		want       int64
		ok         bool
	}{
		{"10", "", 10, true}, {" +10", "", 10, true}, {"010", "", 8, true}, {"0x1F", "", 31, true}, {"08", "", 0, false},
		{"10.6", "", 11, true}, {"1.5e1", "", 15, true}, {"2.5", "", 2, true}, {"-1", "", -1, true},
		{"1MB", "", 0, false}, {"1MB", "B", 1 << 20, true}, {"1GB", "MB", 1024, true}, {"16 kB", "8kB", 2, true},
		{"1.5GB", "MB", 1536, true}, {"1mb", "MB", 0, false}, {"1min", "s", 60, true}, {"2d", "s", 172800, true},
		{"1500ms", "s", 2, true}, {"1MB", "s", 0, false}, {"", "", 0, false}, {"ten", "", 0, false}, {"1e400", "", 0, false},
		{"99999999999999999999", "", 0, false}, {"9223372036854775807", "", 9223372036854775807, true},
	} {
		got, ok := ParseInt(test.text, test.base)
		if got != test.want || ok != test.ok {
			t.Errorf("%q in %q: %d %v, want %d %v", test.text, test.base, got, ok, test.want, test.ok)
		}
	}
}
