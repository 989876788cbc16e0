package api

import (
	"math"
	"regexp"
	"strconv"
)

// size is PostgreSQL's integer with a memory unit: an integer in C's notation
// (0x hexadecimal, leading 0 octal) or a decimal fraction, and the unit.
var size = regexp.MustCompile(`^\s*([+-]?)(0[xX][0-9a-fA-F]+|[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?)\s*(B|kB|MB|GB|TB)?\s*$`)

var unitBytes = map[string]float64{"": 1, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}

// parseBytes reads a size such as 16MB, 1.5kB or 0x400. Units are case-sensitive,
// as in PostgreSQL. ok is false for anything else.
func parseBytes(s string) (n int64, ok bool) {
	m := size.FindStringSubmatch(s)
	if m == nil || m[2] == "" {
		return 0, false
	}
	var f float64
	if whole, err := strconv.ParseInt(m[2], 0, 64); err == nil {
		f = float64(whole)
	} else if f, err = strconv.ParseFloat(m[2], 64); err != nil {
		return 0, false
	}
	f = math.RoundToEven(f * unitBytes[m[3]])
	if f >= math.MaxInt64/4 { // more than there can be: no limit in effect, and no overflow
		f = math.MaxInt64 / 4
	}
	if m[1] == "-" {
		f = -f
	}
	return int64(f), true
}

// span is PostgreSQL's number with a unit of time.
var span = regexp.MustCompile(`^\s*\+?([0-9]+\.?[0-9]*|\.[0-9]+)\s*(us|ms|s|min|h|d)?\s*$`)

var unitSeconds = map[string]float64{"": 1, "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400}

// parseSeconds reads a time such as 30, 1min or 1500ms, in whole seconds. ok is false
// for anything else, a negative number and more than fits a time.Duration.
func parseSeconds(s string) (n int64, ok bool) {
	m := span.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	f, err := strconv.ParseFloat(m[1], 64)
	f = math.RoundToEven(f * unitSeconds[m[2]])
	return int64(f), err == nil && f < 1e9
}
