package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"testing"

	"matriarch/internal/cluster"
)

// configNode keeps a dynamic configuration.
type configNode struct {
	*fakeNode
	swap func(modified int64, document map[string]any) error
	put  func(document map[string]any) error
}

func (n configNode) SwapConfig(_ context.Context, modified int64, document map[string]any) error {
	return n.swap(modified, document)
}

func (n configNode) PutConfig(_ context.Context, document map[string]any) error {
	return n.put(document)
}

func document(t *testing.T, text string) map[string]any {
	t.Helper()
	b, err := parseBody([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return b.fields
}

func withConfig(t *testing.T, text string) (configNode, *[]string) {
	t.Helper()
	writes := &[]string{}
	n := configNode{fakeNode: primary()}
	n.store.Config = cluster.Config{Modified: 7, Document: document(t, text)}
	n.store.Config.Valid = len(n.store.Config.Document) > 0
	n.swap = func(modified int64, doc map[string]any) error {
		if modified != 7 {
			t.Errorf("compared with revision %d, want 7", modified)
		}
		*writes = append(*writes, "swap "+string(cluster.EncodeJSON(doc)))
		return nil
	}
	n.put = func(doc map[string]any) error {
		*writes = append(*writes, "put "+string(cluster.EncodeJSON(doc)))
		return nil
	}
	return n, writes
}

// TestPatchConfig is compat/rest-api.md §10.
func TestPatchConfig(t *testing.T) {
	const before = `{"ttl":30,"pause":true,"none":null,"list":[1,"a"],"postgresql":{"use_slots":true,"parameters":{"max_connections":100,"work_mem":"4MB"}}}`
	for name, c := range map[string]struct{ patch, want string }{
		"a value is replaced":                   {`{"ttl":20}`, `{"ttl":20,"pause":true,"none":null,"list":[1,"a"],"postgresql":{"use_slots":true,"parameters":{"max_connections":100,"work_mem":"4MB"}}}`},
		"null removes":                          {`{"pause":null,"postgresql":{"parameters":{"work_mem":null}}}`, `{"ttl":30,"none":null,"list":[1,"a"],"postgresql":{"use_slots":true,"parameters":{"max_connections":100}}}`},
		"null on nothing is no change":          {`{"no":null,"postgresql":{"no":null}}`, ""},
		"printed alike is no change":            {`{"ttl":"30","postgresql":{"use_slots":"True","parameters":{"max_connections":"100"}}}`, ""},
		"true is not the text true":             {`{"pause":"true"}`, `{"ttl":30,"pause":"true","none":null,"list":[1,"a"],"postgresql":{"use_slots":true,"parameters":{"max_connections":100,"work_mem":"4MB"}}}`},
		"a fraction is another number":          {`{"ttl":30.0}`, `{"ttl":30.0,"pause":true,"none":null,"list":[1,"a"],"postgresql":{"use_slots":true,"parameters":{"max_connections":100,"work_mem":"4MB"}}}`},
		"a list as it is":                       {`{"list":[1,"a"]}`, ""},
		"a list goes as a whole":                {`{"list":["1","a"]}`, `{"ttl":30,"pause":true,"none":null,"list":["1","a"],"postgresql":{"use_slots":true,"parameters":{"max_connections":100,"work_mem":"4MB"}}}`},
		"an object replaces a value":            {`{"ttl":{"a":1}}`, `{"ttl":{"a":1},"pause":true,"none":null,"list":[1,"a"],"postgresql":{"use_slots":true,"parameters":{"max_connections":100,"work_mem":"4MB"}}}`},
		"a value replaces an object":            {`{"postgresql":1}`, `{"ttl":30,"pause":true,"none":null,"list":[1,"a"],"postgresql":1}`},
		"a new object keeps its nulls":          {`{"foo":{"bar":null}}`, `{"foo":{"bar":null},"ttl":30,"pause":true,"none":null,"list":[1,"a"],"postgresql":{"use_slots":true,"parameters":{"max_connections":100,"work_mem":"4MB"}}}`},
		"a great number keeps all its digits":   {`{"big":9007199254740993}`, `{"big":9007199254740993,"ttl":30,"pause":true,"none":null,"list":[1,"a"],"postgresql":{"use_slots":true,"parameters":{"max_connections":100,"work_mem":"4MB"}}}`},
		"nothing is checked":                    {`{"ttl":"never"}`, `{"ttl":"never","pause":true,"none":null,"list":[1,"a"],"postgresql":{"use_slots":true,"parameters":{"max_connections":100,"work_mem":"4MB"}}}`},
		"an empty object changes no other one":  {`{"postgresql":{}}`, ""},
		"an empty object in place of a value":   {`{"ttl":{}}`, `{"ttl":{},"pause":true,"none":null,"list":[1,"a"],"postgresql":{"use_slots":true,"parameters":{"max_connections":100,"work_mem":"4MB"}}}`},
		"a key given twice has its last value":  {`{"ttl":20,"ttl":30}`, ""},
		"what is null in the store may be gone": {`{"none":null}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			n, writes := withConfig(t, before)
			code, body := call(newServer(t, n), "PATCH", "/config", c.patch)
			if code != 200 {
				t.Fatalf("got %d %s", code, body)
			}
			if c.want == "" {
				if len(*writes) != 0 {
					t.Errorf("wrote %q, want nothing", *writes)
				}
				return
			}
			if want := []string{"swap " + string(cluster.EncodeJSON(document(t, c.want)))}; !reflect.DeepEqual(*writes, want) {
				t.Errorf("wrote %q\nwant  %q", *writes, want)
			}
			sameJSON(t, body, c.want)
			if string(cluster.EncodeJSON(n.store.Config.Document)) != string(cluster.EncodeJSON(document(t, before))) {
				t.Error("the document that others hold was changed")
			}
		})
	}
}

func TestPatchConfigFaults(t *testing.T) {
	n, _ := withConfig(t, `{}`)
	if code, _ := call(newServer(t, n), "PATCH", "/config", `{"ttl":20}`); code != 503 {
		t.Errorf("no configuration: got %d, want 503", code)
	}
	n, _ = withConfig(t, `{"ttl":30}`)
	for body, want := range map[string]int{"": 411, "{}": 400, "[1]": 400, `{"ttl":20}}`: 400, `{"ttl":20}]`: 400, `{"ttl":}`: 400, `{"ttl":20`: 400} {
		if code, _ := call(newServer(t, n), "PATCH", "/config", body); code != want {
			t.Errorf("%q: got %d, want %d", body, code, want)
		}
	}
	n.swap = func(int64, map[string]any) error { return ErrConflict }
	if code, _ := call(newServer(t, n), "PATCH", "/config", `{"ttl":20}`); code != 409 {
		t.Errorf("changed by another one: got %d, want 409", code)
	}
	n.swap = func(int64, map[string]any) error { return errors.New("no answer") }
	if !hungUp(func() { call(newServer(t, n), "PATCH", "/config", `{"ttl":20}`) }) {
		t.Error("it is not known whether it was written: want a closed connection")
	}
	n.readErr = errors.New("down")
	if !hungUp(func() { call(newServer(t, n), "PATCH", "/config", `{"ttl":20}`) }) {
		t.Error("without the store: want a closed connection")
	}
	if code, _ := call(newServer(t, primary()), http.MethodPatch, "/config", `{"ttl":20}`); code != 501 {
		t.Errorf("a node that cannot: got %d, want 501", code)
	}
}

func TestPutConfig(t *testing.T) {
	const before = `{"ttl":30,"postgresql":{"parameters":{"work_mem":"4MB"}},"list":[1]}`
	for name, c := range map[string]struct {
		put   string
		write bool
	}{
		"another one":          {`{"ttl":20}`, true},
		"nulls are kept":       {`{"ttl":null}`, true},
		"the same":             {before, false},
		"printed the same":     {`{"ttl":"30","postgresql":{"parameters":{"work_mem":"4MB"}},"list":"[1]"}`, false},
		"another value":        {`{"ttl":31,"postgresql":{"parameters":{"work_mem":"4MB"}},"list":[1]}`, true},
		"another value inside": {`{"ttl":30,"postgresql":{"parameters":{"work_mem":"5MB"}},"list":[1]}`, true},
		"a key more":           {`{"ttl":30,"postgresql":{"parameters":{"work_mem":"4MB"}},"list":[1],"x":1}`, true},
		"another key":          {`{"ttl":30,"postgresql":{"parameters":{"work_men":"4MB"}},"list":[1]}`, true},
		"a value, not an map":  {`{"ttl":30,"postgresql":{"parameters":1},"list":[1]}`, true},
		"an object in a value": {`{"ttl":{},"postgresql":{"parameters":{"work_mem":"4MB"}},"list":[1]}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			n, writes := withConfig(t, before)
			code, body := call(newServer(t, n), "PUT", "/config", c.put)
			if code != 200 {
				t.Fatalf("got %d %s", code, body)
			}
			sameJSON(t, body, c.put)
			var want []string
			if c.write {
				want = []string{"put " + string(cluster.EncodeJSON(document(t, c.put)))}
			}
			if len(want) != len(*writes) || len(want) > 0 && want[0] != (*writes)[0] {
				t.Errorf("wrote %q, want %q", *writes, want)
			}
		})
	}
	n, writes := withConfig(t, `{}`)
	if code, _ := call(newServer(t, n), "PUT", "/config", `{"ttl":30}`); code != 200 || len(*writes) != 1 {
		t.Errorf("the first configuration: got %d, wrote %q", code, *writes)
	}
	n.put = func(map[string]any) error { return errors.New("refused") }
	if code, _ := call(newServer(t, n), "PUT", "/config", `{"ttl":30}`); code != 502 {
		t.Errorf("refused: got %d, want 502", code)
	}
	if code, _ := call(newServer(t, n), "PUT", "/config", `{}`); code != 400 {
		t.Errorf("nothing: got %d, want 400", code)
	}
	if code, _ := call(newServer(t, primary()), http.MethodPut, "/config", `{"ttl":20}`); code != 501 {
		t.Errorf("a node that cannot: got %d, want 501", code)
	}
}

func TestPrintedAsPythonDoes(t *testing.T) {
	for text, want := range map[string]string{
		`1`: "1", `-0`: "-0", `1.50`: "1.5", `1e3`: "1000.0", `1E16`: "1e+16", `0.0001`: "0.0001", `0.00001`: "1e-05", `1e400`: "1e400",
		`true`: "True", `false`: "False", `null`: "None", `"x"`: "x", `[true,null,"x",{"a":1}]`: `[True, None, "x", {"a": 1}]`, `0.0`: "0.0",
	} {
		v := document(t, `{"v":`+text+`}`)["v"]
		if got := printed(v); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	if got := printed(5); got != "5" {
		t.Errorf("a plain integer: %s", got)
	}
}

func FuzzBodies(f *testing.F) {
	for _, seed := range []string{`{}`, `{"ttl":20}`, `{"a":{"b":null}}`, `{"a":[1,2,{"b":"c"}]}`, `{"a":1,"a":2}`, `[`, `{"a":1}}`, "{\"\xff\":1}", `{"a":1e999}`} {
		f.Add([]byte(seed), []byte(`{"a":{"b":1}}`))
	}
	f.Fuzz(func(t *testing.T, data, stored []byte) {
		given, err := parseBody(data)
		if err != nil {
			return
		}
		if len(given.order) != len(given.fields) || !json.Valid(data) {
			t.Fatalf("%q was read as %v in the order %q", data, given.fields, given.order)
		}
		_, _ = readRestart(given, noon)
		have, err := parseBody(stored)
		if err != nil {
			return
		}
		before := string(cluster.EncodeJSON(have.fields))
		once, _ := merged(have.fields, given.fields)
		if after := string(cluster.EncodeJSON(have.fields)); after != before {
			t.Fatalf("the stored document was changed: %s to %s", before, after)
		}
		if _, changed := merged(once, given.fields); changed && !hasNull(given.fields) {
			t.Fatalf("merged twice, %q changes %q again", data, stored)
		}
		if !alike(once, once) {
			t.Fatalf("%v is not like itself", once)
		}
	})
}

// hasNull reports a null in an object: taken in with a new key, it is removed by the
// second merge.
func hasNull(v any) bool {
	m, _ := v.(map[string]any)
	for _, inner := range m {
		if inner == nil || hasNull(inner) {
			return true
		}
	}
	return false
}
