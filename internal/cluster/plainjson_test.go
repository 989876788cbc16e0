package cluster

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzPlainObject: what is read without encoding/json is what that reads.
func FuzzPlainObject(f *testing.F) {
	for text, plain := range map[string]bool{
		`{}`: true, `{"a":1}`: true, `{"a":"b","c":null}`: true, `{"a":{"b":[1,"2",true,{}]},"c":[]}`: true, `{"":0}`: true, `{"a":1,"a":2}`: true,
		`{"conn_url":"postgres://n1:5432/postgres","xlog_location":67108960,"pause":false,"tags":{"nofailover":true}}`: true,
		`{"a":[[[[[[[1]]]]]]]}`: true, `{"a":[[[[[[[[[1]]]]]]]]]}`: false,
		``: false, `{`: false, `{"a"`: false, `{"a":`: false, `{"a":1`: false, `{"a":1,`: false, `{"a":1,}`: false, `{,}`: false, `{"a":01}`: false,
		`{"a":-1}`: false, `{"a":1.5}`: false, `{"a":1e3}`: false, `{ "a":1}`: false, `{"a":1} `: false, `{"a":1}}`: false, `{a:1}`: false, `{1:1}`: false,
		`{"a":"\\u0041"}`: false, `{"a":"ä"}`: false, "{\"a\":\"\x01\"}": false, `{"a":[1}`: false, `{"a":{"b":1]}`: false, `{"a":[1,]}`: false,
		`{"a":tru}`: false, `{"a":truefalse}`: false, `[]`: false, `null`: false, `7`: false, `{"a":{"b"}}`: false, `{"a":{true:1}}`: false, `{true:1}`: false,
	} {
		if _, ok := plainObject([]byte(text)); ok != plain {
			f.Errorf("%s: read as a plain object: %v", text, ok)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := plainObject([]byte(text))
		if !ok {
			return
		}
		var want fields
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatalf("%q is read as %s, and is none: %v", text, got, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %s, want %s", text, got, want)
		}
	})
}
