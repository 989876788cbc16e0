package cluster

import (
	"encoding/json"
	"testing"
)

// TestPlainValuesAreReadAsAllOthers: the short way comes to what the long one does.
func TestPlainValuesAreReadAsAllOthers(t *testing.T) {
	for _, raw := range []string{
		`""`, `"n1"`, `"a b"`, `"\u00e4"`, `"ä"`, `"a\"b"`, `"\\"`, `"\t"`, "\"\x7f\"", "\"\xff\"", `null`, `true`, `{}`, `["a"]`,
		`0`, `7`, `67108960`, `999999999999999999`, `1000000000000000000`, `9223372036854775807`, `9223372036854775808`,
		`-1`, `1.5`, `1e3`, `"7"`, `"x"`,
	} {
		f, err := object([]byte(`{"x":` + raw + `}`))
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		var text string
		_ = json.Unmarshal(f["x"], &text)
		if got := f.text("x"); got != text {
			t.Errorf("text %s: %q, want %q", raw, got, text)
		}
		var v any
		_ = decode(f["x"], &v)
		n, _ := integer(v)
		if got := f.number("x"); got != n {
			t.Errorf("number %s: %d, want %d", raw, got, n)
		}
	}
	if f := (fields{}); f.text("x") != "" || f.number("x") != 0 || f.truth("x") {
		t.Error("a field that is missing says something")
	}
}
