package conf

import (
	"math"
	"strconv"
	"strings"
)

// unitFactor is a unit's size in bytes or microseconds (guc.c,
// memory_unit_conversion_table and time_unit_conversion_table). Units are case
// sensitive there too.
var unitFactor = map[string]float64{
	"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40,
	"us": 1, "ms": 1e3, "s": 1e6, "min": 60e6, "h": 3600e6, "d": 86400e6,
}

// ParseInt reads a number as PostgreSQL reads an integer setting: blanks, sign,
// hexadecimal, octal by a leading zero, fractions rounded to nearest. A unit is
// accepted only where base names one (for example "MB", "8kB", "ms"), and the
// result is then in base units. The second result is false for anything else.
func ParseInt(text, base string) (int64, bool) {
	text = strings.TrimSpace(text)
	number, unit := splitNumber(text)
	value, ok := parseNumber(number)
	if !ok {
		return 0, false
	}
	// A whole number is taken as it is: one of 64 bits has no place in a float. Base 0
	// reads 0x and a leading 0 as C's strtol does.
	if n, err := strconv.ParseInt(number, 0, 64); unit == "" && err == nil {
		return n, true
	}
	if unit != "" {
		scale, ok := conversion(unit, base)
		if !ok {
			return 0, false
		}
		value *= scale
	}
	value = math.RoundToEven(value)
	if math.Abs(value) > 1<<62 {
		return 0, false
	}
	return int64(value), true
}

// conversion is how many base units one unit is.
func conversion(unit, base string) (float64, bool) {
	if base == "" {
		return 0, false
	}
	multiple, name := splitNumber(base)
	count := 1.0
	if multiple != "" {
		var ok bool
		if count, ok = parseNumber(multiple); !ok || count <= 0 {
			return 0, false
		}
	}
	from, known := unitFactor[unit]
	to, baseKnown := unitFactor[name]
	if !known || !baseKnown || isMemory(unit) != isMemory(name) {
		return 0, false
	}
	return from / (to * count), true
}

func isMemory(unit string) bool { return strings.HasSuffix(unit, "B") }

// splitNumber parts "128 MB" into "128" and "MB". An exponent belongs to the
// number, so 1e3 is one; hexadecimal digits run to the first other letter.
func splitNumber(text string) (number, unit string) {
	end := 0
	for end < len(text) {
		c := text[end]
		hex := len(text) > 2 && strings.HasPrefix(strings.ToLower(strings.TrimLeft(text, "+-")), "0x")
		switch {
		case c >= '0' && c <= '9' || c == '.' || (c == '+' || c == '-') && (end == 0 || isExponent(text[end-1])):
		case hex && (isHexDigit(c) || c == 'x' || c == 'X'):
		case !hex && isExponent(c) && end > 0 && end+1 < len(text) && strings.ContainsRune("0123456789+-", rune(text[end+1])):
		default:
			return text[:end], strings.TrimSpace(text[end:])
		}
		end++
	}
	return text, ""
}

func isExponent(c byte) bool { return c == 'e' || c == 'E' }

func isHexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func parseNumber(text string) (float64, bool) {
	if strings.Contains(text, "_") { // Go accepts 1_000, PostgreSQL's files before 16 do not
		return 0, false
	}
	digits := strings.TrimLeft(text, "+-")
	lower := strings.ToLower(digits)
	if len(digits)+1 < len(text) || digits == "" {
		return 0, false
	}
	octal := len(digits) > 1 && digits[0] == '0' && !strings.ContainsAny(digits, ".eE")
	if strings.HasPrefix(lower, "0x") || octal {
		number := digits
		radix := 8
		if !octal || strings.HasPrefix(lower, "0x") {
			number, radix = digits[2:], 16
		}
		whole, err := strconv.ParseInt(number, radix, 64)
		if err != nil {
			return 0, false
		}
		if text[0] == '-' {
			whole = -whole
		}
		return float64(whole), true
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(value, 0) || math.IsNaN(value) {
		return 0, false
	}
	return value, true
}

// ParseBool reads on/true/yes/1 and off/false/no/0 in any case. The second
// result is false for anything else.
func ParseBool(text string) (value, ok bool) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "on", "true", "yes", "1":
		return true, true
	case "off", "false", "no", "0":
		return false, true
	}
	return false, false
}

// ParseReal reads a plain decimal number, as the server prints limits.
func ParseReal(text string) (float64, bool) { return parseNumber(strings.TrimSpace(text)) }

// Same reports that two texts are the same value of a setting without a unit: as
// switches, as numbers, or by letter.
func Same(a, b string) bool {
	if x, ok := ParseInt(a, ""); ok {
		y, ok := ParseInt(b, "")
		return ok && x == y
	}
	if x, ok := ParseBool(a); ok {
		y, ok := ParseBool(b)
		return ok && x == y
	}
	return a == b
}

// units from the largest, of memory and of time (guc.c, the tables of unitFactor).
var units = []string{"TB", "GB", "MB", "kB", "B", "d", "h", "min", "s", "ms", "us"}

// Shown is a plain number in base units as PostgreSQL shows it: in the largest unit
// that gives a whole one, 8192 of 8kB as 64MB. Anything else stays as it is, and so
// does what stands for no amount (0 and what is negative).
func Shown(value, base string) string {
	n, ok := ParseInt(value, "")
	if !ok || base == "" || n <= 0 {
		return value
	}
	for _, unit := range units {
		if scale, ok := conversion(unit, base); ok {
			if amount := float64(n) / scale; amount >= 1 && amount == math.Trunc(amount) {
				return strconv.FormatFloat(amount, 'f', -1, 64) + unit
			}
		}
	}
	return value
}
