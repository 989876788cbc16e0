package ctl

import (
	"encoding/json"
	"testing"

	"go.yaml.in/yaml/v4"
)

func TestYAML(t *testing.T) {
	for _, c := range []struct {
		in   any
		want string
	}{
		{map[string]any{}, "{}\n"}, {[]any{}, "[]\n"}, {"x", "x\n"}, {nil, "null\n"}, {true, "true\n"}, {json.Number("5"), "5\n"}, {json.Number("1e20"), "1.0e20\n"},
		{map[string]any{"b": []any{"x", map[string]any{"k": 1, "l": 2}, []any{1}}, "a": map[string]any{"c": map[string]any{}}, "n": []any{}},
			"a:\n  c: {}\nb:\n- x\n- k: 1\n  l: 2\n- - 1\nn: []\n"},
		{map[string]any{"a": "on", "b": "5", "c": "1.5", "d": "null", "e": "2026-11-23", "f": "12:30", "g": "", "h": " x", "i": "0x1f", "j": "~", "k": "017"},
			"a: 'on'\nb: '5'\nc: '1.5'\nd: 'null'\ne: '2026-11-23'\nf: '12:30'\ng: ''\nh: ' x'\ni: '0x1f'\nj: '~'\nk: '017'\n"},
		{map[string]any{"a": "x: y", "b": "x:y", "c": "it's", "d": "#x", "e": "x #y", "f": "x#y", "g": "- x", "h": "-x", "i": "[x", "j": "*", "k": "x:", "l": "'q'", "m": "100%", "n": "%p"},
			"a: 'x: y'\nb: x:y\nc: it's\nd: '#x'\ne: 'x #y'\nf: x#y\ng: '- x'\nh: -x\ni: '[x'\nj: '*'\nk: 'x:'\nl: '''q'''\nm: 100%\nn: '%p'\n"},
		{map[string]any{"a": "tab\there", "b": "größe"}, "a: \"tab\\there\"\nb: größe\n"},
	} {
		if got := YAML(c.in); got != c.want {
			t.Errorf("got\n%swant\n%s", got, c.want)
		}
	}
	if got, want := yamlFlow(map[string]any{"a": "x", "b": []any{1, "y,z"}, "c": "a:b", "d": map[string]any{}}), "{a: x, b: [1, 'y,z'], c: 'a:b', d: {}}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Whatever text is printed reads back as that text.
func FuzzYAMLText(f *testing.F) {
	for _, s := range []string{"on", "a: b", "x\ny", "\n", "it's", "\"", "- ", "?", ": x", "---", "é\x00", "1_0", "=", " \n ", "a\n\nb", "<<"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		data, err := json.Marshal(s)
		if err != nil || json.Unmarshal(data, &s) != nil { // only valid UTF-8 can come out of the store
			t.Skip()
		}
		for _, text := range []string{YAML(map[string]any{"key": s}), "{key: " + yamlFlow(s) + "}\n"} {
			var got map[string]any
			if err := yaml.Unmarshal([]byte(text), &got); err != nil {
				t.Fatalf("%q was printed as %q: %v", s, text, err)
			}
			if got["key"] != s {
				t.Errorf("%q was printed as %q, which reads as %q", s, text, got["key"])
			}
		}
	})
}
