package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"unicode/utf8"
)

// object reads a body that must be a JSON object with something in it
// (compat/rest-api.md §10a). When it is not, the answer has been given.
func (a *answer) object(r *http.Request) (map[string]any, bool) {
	if r.Header.Get("Content-Length") == "" && len(r.TransferEncoding) == 0 {
		a.page(http.StatusLengthRequired, "The body's length is missing")
		return nil, false
	}
	body, err := io.ReadAll(r.Body)
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		a.page(http.StatusRequestEntityTooLarge, "The body is too large")
		return nil, false
	}
	var doc map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err != nil || !utf8.Valid(body) || decoder.Decode(&doc) != nil || decoder.More() || len(doc) == 0 {
		a.page(http.StatusBadRequest, "The body is not a JSON object with something in it")
		return nil, false
	}
	return doc, true
}

// text reads a field that is a text or missing. Other types count by their
// printed form, as Patroni has it: a member may be called 5.
func text(doc map[string]any, name string) string {
	switch v := doc[name].(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "True"
		}
		return ""
	}
	return ""
}
