package config

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// unitSizes are PostgreSQL's units (guc.c), case sensitive, each family in terms of
// its smallest member: bytes, microseconds.
var unitSizes = map[string]struct {
	family byte
	size   float64
}{
	"B": {'m', 1}, "kB": {'m', 1 << 10}, "MB": {'m', 1 << 20}, "GB": {'m', 1 << 30}, "TB": {'m', 1 << 40},
	"us": {'t', 1}, "ms": {'t', 1e3}, "s": {'t', 1e6}, "min": {'t', 60e6}, "h": {'t', 3600e6}, "d": {'t', 86400e6},
}

var (
	numberForm  = regexp.MustCompile(`^([-+]?)(0[xX][0-9a-fA-F]+|[0-9]+)\s*([A-Za-z]*)\s*$`)
	decimalForm = regexp.MustCompile(`^([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*([A-Za-z]*)\s*$`)
	baseForm    = regexp.MustCompile(`^([0-9]*)([A-Za-z]+)$`)
)

// ParseInt reads an integer as PostgreSQL reads one of its settings: hexadecimal
// with 0x, octal with a leading 0, fractions rounded to the nearest. A unit is
// allowed only where base names one ("MB", "8kB", "s"); the result counts in base.
func ParseInt(text, base string) (int64, bool) {
	text = strings.TrimLeft(text, " \t\n\r\v\f")
	if len(text) > scalarMax {
		return 0, false
	}
	if m := numberForm.FindStringSubmatch(text); m != nil {
		// base 0 reads 0x and a leading 0 as C's strtol does.
		n, err := strconv.ParseInt(m[1]+m[2], 0, 64)
		if err == nil && m[3] == "" {
			return n, true
		}
		if err == nil {
			return inBase(float64(n), m[3], base)
		}
		if strings.HasPrefix(m[2], "0") {
			return 0, false // 08 is no octal number
		}
	}
	m := decimalForm.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, false
	}
	return inBase(f, m[2], base)
}

// inBase turns an amount in unit into the nearest integer in base.
func inBase(f float64, unit, base string) (int64, bool) {
	if unit != "" {
		m := baseForm.FindStringSubmatch(base)
		if m == nil {
			return 0, false
		}
		from, to := unitSizes[unit], unitSizes[m[2]]
		if from.size == 0 || from.family != to.family {
			return 0, false
		}
		size := to.size
		if m[1] != "" {
			times, _ := strconv.ParseFloat(m[1], 64) // the pattern allows digits only
			size *= times
		}
		f = f * from.size / size
	}
	f = math.RoundToEven(f)
	if math.IsNaN(f) || math.Abs(f) >= math.MaxInt64 {
		return 0, false
	}
	return int64(f), true
}

// IntIn is the value as an integer in base, see ParseInt. Booleans are no integers.
func (v *Value) IntIn(base string) (int64, bool) {
	if v.IsNull() || v.Kind == KindBool || !v.IsScalar() {
		return 0, false
	}
	return ParseInt(v.Text(), base)
}

// ParseBool reads a switch as Patroni reads PostgreSQL's: on, true, yes, 1 and
// their opposites in any case. PostgreSQL's own abbreviations are not taken.
func ParseBool(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "on", "true", "yes", "1":
		return true, true
	case "off", "false", "no", "0":
		return false, true
	}
	return false, false
}

// Bool is the value as a PostgreSQL switch, see ParseBool.
func (v *Value) Bool() (value, ok bool) {
	if !v.IsScalar() {
		return false, false
	}
	return ParseBool(v.Text())
}
