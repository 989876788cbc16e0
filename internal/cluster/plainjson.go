package cluster

import (
	"bytes"
	"encoding/json"
)

// Object splits a JSON object into its fields. They are parts of data, which is not to
// be changed afterwards.
func Object(data []byte) (map[string]json.RawMessage, error) { return object(data) }

// plainObject splits an object as members write it: without white space, escapes,
// fractions or anything but ASCII. It is read with every move of a position, by every
// member. ok is false for all else, right or wrong: encoding/json judges that. What is
// accepted here it would read the same way (FuzzPlainObject).
func plainObject(data []byte) (f fields, ok bool) {
	if len(data) < 2 || data[0] != '{' {
		return nil, false
	}
	f = make(fields, min(bytes.Count(data, []byte{':'}), 14)) // members write no more; few fields need little room
	if string(data) == "{}" {
		return f, true
	}
	for i := 1; ; i++ { // at the beginning of a field
		colon := plainValue(data, i, 0)
		if colon == 0 || data[i] != '"' || colon == len(data) || data[colon] != ':' {
			return nil, false
		}
		end := plainValue(data, colon+1, plainDepth)
		if end == 0 || end == len(data) {
			return nil, false
		}
		f[string(data[i+1:colon-1])] = data[colon+1 : end : end]
		switch i = end; data[i] {
		case ',':
		case '}':
			return f, end+1 == len(data)
		default:
			return nil, false
		}
	}
}

// plainDepth is how many lists and objects may stand inside each other.
const plainDepth = 8

// plainValue is where the value that begins at i ends; 0: it is not a plain one.
func plainValue(data []byte, i, depth int) int {
	if i >= len(data) {
		return 0
	}
	switch c := data[i]; {
	case c == '"':
		for i++; i < len(data) && data[i] != '"'; i++ {
			if c := data[i]; c == '\\' || c < ' ' || c > '~' {
				return 0
			}
		}
		if i == len(data) {
			return 0
		}
		return i + 1
	case c == '0':
		return i + 1 // a digit after it is no end of a value
	case c > '0' && c <= '9':
		for ; i < len(data) && data[i] >= '0' && data[i] <= '9'; i++ {
		}
		return i
	case c == '{' && depth > 0:
		return plainList(data, i, depth-1, '}')
	case c == '[' && depth > 0:
		return plainList(data, i, depth-1, ']')
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if end := i + len(word); end <= len(data) && string(data[i:end]) == word {
			return end
		}
	}
	return 0
}

// plainList is where the object or the array that begins at i ends; 0: it is not plain.
func plainList(data []byte, i, depth int, last byte) int {
	if i++; i < len(data) && data[i] == last {
		return i + 1
	}
	for {
		if last == '}' {
			colon := plainValue(data, i, 0)
			if colon == 0 || data[i] != '"' || colon == len(data) || data[colon] != ':' {
				return 0
			}
			i = colon + 1
		}
		if i = plainValue(data, i, depth); i == 0 || i == len(data) {
			return 0
		}
		switch data[i] {
		case last:
			return i + 1
		case ',':
			i++
		default:
			return 0
		}
	}
}
