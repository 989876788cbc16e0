package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"unicode/utf8"
)

// body is a JSON object as it was sent.
type body struct {
	fields map[string]any // numbers are json.Number, so that none loses a digit
	order  []string       // names in the order in which they were first given
}

// object reads a body that must be a JSON object with something in it
// (compat/rest-api.md §10a). When it is not, the answer has been given.
func (a *answer) object(r *http.Request) (body, bool) {
	if !sized(r) {
		a.page(http.StatusLengthRequired, "The body's length is missing")
		return body{}, false
	}
	b, ok := a.read(r)
	if ok && len(b.fields) == 0 {
		a.page(http.StatusBadRequest, "The body is not a JSON object with something in it")
		return body{}, false
	}
	return b, ok
}

// optional reads a body that may be left out. What is there must be an object.
func (a *answer) optional(r *http.Request) (body, bool) {
	if !sized(r) {
		return body{}, true
	}
	return a.read(r)
}

// sized reports that the request says how long its body is.
func sized(r *http.Request) bool {
	return r.Header.Get("Content-Length") != "" || len(r.TransferEncoding) > 0
}

// read takes an empty body for an object without fields.
func (a *answer) read(r *http.Request) (body, bool) {
	data, err := io.ReadAll(r.Body)
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		a.page(http.StatusRequestEntityTooLarge, "The body is too large")
		return body{}, false
	}
	if err == nil && len(data) == 0 {
		return body{}, true
	}
	var b body
	if err == nil {
		b, err = parseBody(data)
	}
	if err != nil {
		a.page(http.StatusBadRequest, "The body is not a JSON object in UTF-8")
		return body{}, false
	}
	return b, true
}

var errNoObject = errors.New("not an object")

func parseBody(data []byte) (body, error) {
	if !utf8.Valid(data) {
		return body{}, errors.New("read the body: not UTF-8")
	}
	b := body{fields: map[string]any{}}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return body{}, errors.Join(errNoObject, err)
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return body{}, fmt.Errorf("read the body: %w", err)
		}
		key := name.(string) // the decoder lets nothing else pass in this place
		var value any
		if err := decoder.Decode(&value); err != nil {
			return body{}, fmt.Errorf("read %q of the body: %w", key, err)
		}
		if _, again := b.fields[key]; !again {
			b.order = append(b.order, key)
		}
		b.fields[key] = value // the last one counts, as in Patroni
	}
	if _, err := decoder.Token(); err != nil {
		return body{}, fmt.Errorf("read the body: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return body{}, errors.New("read the body: something follows the object")
	}
	return b, nil
}

// has reports that the field was given, be it null.
func (b body) has(name string) bool { _, ok := b.fields[name]; return ok }

// text reads a field that is a text or missing. Other types count by their
// printed form, as Patroni has it: a member may be called 5.
func (b body) text(name string) string {
	switch v := b.fields[name].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "True"
		}
	}
	return ""
}
