package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"

	"matriarch/internal/wal"
)

// fields is a JSON object whose values are read leniently, one by one, so that a
// single bad field costs only itself.
type fields map[string]json.RawMessage

func object(data []byte) (fields, error) {
	if f, ok := plainObject(data); ok {
		return f, nil
	}
	var f fields
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if f == nil {
		return nil, fmt.Errorf("not an object")
	}
	return f, nil
}

func (f fields) text(name string) string {
	raw, ok := f[name]
	if plain, is := plainText(raw); is {
		return plain
	}
	var s string
	if !ok || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func (f fields) truth(name string) bool {
	raw, ok := f[name]
	switch string(raw) {
	case "true", "false":
		return string(raw) == "true"
	}
	var v any
	if !ok || json.Unmarshal(raw, &v) != nil {
		return false
	}
	return Truth(v)
}

func (f fields) number(name string) int64 {
	raw, ok := f[name]
	if n, is := plainNumber(raw); is {
		return n
	}
	var v any
	if !ok || decode(raw, &v) != nil {
		return 0
	}
	n, _ := integer(v)
	return n
}

// plainText is a JSON string that says itself: what most fields are, and members are
// read again with every move of a position.
func plainText(raw json.RawMessage) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	text := raw[1 : len(raw)-1]
	for _, c := range text {
		if c == '\\' || c < ' ' || c > '~' {
			return "", false
		}
	}
	return string(text), true
}

// plainNumber is a JSON number of digits alone.
func plainNumber(raw json.RawMessage) (int64, bool) {
	if len(raw) == 0 || len(raw) > 18 { // more might not fit
		return 0, false
	}
	n := int64(0)
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// lsn reads a position in bytes. Negative numbers and garbage count as 0: not
// published.
func (f fields) lsn(name string) wal.LSN { return wal.LSN(max(0, f.number(name))) }

// decode keeps numbers exact: a position of 2^53 and more must survive. Something
// after the value is an error, as it is to Patroni.
func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one value")
	}
	return nil
}

// integer reads a whole number that may have come as a number or as text.
func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case json.Number:
		return integer(v.String())
	case int:
		return int64(v), true
	case int64:
		return v, true
	case uint64:
		return int64(min(v, math.MaxInt64)), true
	case float64:
		if math.IsNaN(v) || math.Abs(v) >= math.MaxInt64 {
			return 0, false
		}
		return int64(v), true
	case string:
		s := strings.TrimSpace(v)
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n, true
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(f) || math.Abs(f) >= math.MaxInt64 {
			return 0, false
		}
		return int64(math.RoundToEven(f)), true
	}
	return 0, false
}

// Int reads a whole number from a value of a JSON or YAML document.
func Int(v any) (int, bool) {
	n, ok := integer(v)
	if n > math.MaxInt32 || n < math.MinInt32 {
		return 0, false
	}
	return int(n), ok
}

// EncodeJSON writes compact JSON as Patroni stores it: no spaces, and everything
// outside ASCII as \uXXXX.
func EncodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		// Only types of this package and decoded JSON come here, and those encode.
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if bytes.IndexFunc(text, func(r rune) bool { return r >= 0x80 }) < 0 {
		return text
	}
	var out bytes.Buffer
	for _, r := range string(text) {
		switch {
		case r < 0x80:
			out.WriteByte(byte(r))
		case r < 0x10000:
			fmt.Fprintf(&out, "\\u%04x", r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, "\\u%04x\\u%04x", high, low)
		}
	}
	return out.Bytes()
}
