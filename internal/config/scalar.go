package config

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The types of plain scalars by the YAML 1.1 type repository (yaml.org/type), as
// Patroni's reader applies them: 1e5 stays text, since a float needs its point and
// an exponent its sign, and so does -.5.
var (
	octalInt      = regexp.MustCompile(`^[-+]?0[0-7_]+$`)
	decimalInt    = regexp.MustCompile(`^[-+]?(?:0|[1-9][0-9_]*)$`)
	hexInt        = regexp.MustCompile(`^[-+]?0x[0-9a-fA-F_]+$`)
	binaryInt     = regexp.MustCompile(`^[-+]?0b[01_]+$`)
	base60Int     = regexp.MustCompile(`^[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+$`)
	pointFloat    = regexp.MustCompile(`^(?:[-+]?[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?$`)
	base60Float   = regexp.MustCompile(`^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*$`)
	timestampForm = regexp.MustCompile(`^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})` +
		`(?:(?:[Tt]|[ \t]+)([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]*))?` +
		`(?:[ \t]*(?:(Z)|([-+])([0-9]{1,2})(?::([0-9]{2}))?))?)?$`)
	dateForm = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
)

// scalarMax is in bytes: a longer plain scalar is text. No number is that long, and
// turning digits into numbers takes time that grows with their square.
const scalarMax = 200

// plainScalar gives an unquoted scalar the type it has in YAML 1.1.
func plainScalar(text string, at Position) *Value {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return &Value{At: at}
	}
	if b, ok := yamlBool(text); ok {
		return newBool(b, at)
	}
	if len(text) > scalarMax || !strings.ContainsAny(text, "0123456789.") {
		return newString(text, at)
	}
	if n := yamlInt(text); n != nil {
		return &Value{Kind: KindInt, text: n.String(), At: at}
	}
	if f, ok := yamlFloat(text); ok {
		return newFloat(f, at)
	}
	if t, ok := yamlTimestamp(text); ok {
		return &Value{Kind: KindTimestamp, text: t, At: at}
	}
	return newString(text, at)
}

func yamlBool(text string) (value, ok bool) {
	switch text {
	case "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return true, true
	case "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return false, true
	}
	return false, false
}

// yamlInt is nil if the text is no integer.
func yamlInt(text string) *big.Int {
	digits := strings.ReplaceAll(text, "_", "")
	sign := ""
	unsigned := strings.TrimLeft(digits, "+-")
	if strings.HasPrefix(digits, "-") {
		sign = "-"
	}
	base := 0
	switch {
	case decimalInt.MatchString(text):
		base = 10
	case octalInt.MatchString(text):
		base, unsigned = 8, "0"+unsigned[1:]
	case hexInt.MatchString(text):
		base, unsigned = 16, unsigned[2:]
	case binaryInt.MatchString(text):
		base, unsigned = 2, unsigned[2:]
	case base60Int.MatchString(text):
		return base60(sign, unsigned)
	default:
		return nil
	}
	n, ok := new(big.Int).SetString(sign+unsigned, base)
	if !ok { // only underscores behind the prefix
		return nil
	}
	return n
}

// base60 reads 12:30 as 750, the way of times of day and of unquoted ports.
func base60(sign, unsigned string) *big.Int {
	total := new(big.Int)
	for part := range strings.SplitSeq(unsigned, ":") {
		n, ok := new(big.Int).SetString(part, 10)
		if !ok {
			return nil
		}
		total.Mul(total, big.NewInt(60)).Add(total, n)
	}
	if sign == "-" {
		total.Neg(total)
	}
	return total
}

func yamlFloat(text string) (float64, bool) {
	switch strings.TrimPrefix(text, "+") {
	case ".inf", ".Inf", ".INF":
		return math.Inf(1), true
	case "-.inf", "-.Inf", "-.INF":
		return math.Inf(-1), true
	case ".nan", ".NaN", ".NAN":
		return math.NaN(), text[0] != '+'
	}
	digits := strings.ReplaceAll(text, "_", "")
	switch {
	case pointFloat.MatchString(text):
		f, err := strconv.ParseFloat(digits, 64)
		return f, err == nil || math.IsInf(f, 0)
	case base60Float.MatchString(text):
		return base60Number(digits)
	}
	return 0, false
}

func base60Number(digits string) (float64, bool) {
	total := 0.0
	for part := range strings.SplitSeq(strings.TrimLeft(digits, "+-"), ":") {
		f, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return 0, false
		}
		total = total*60 + f
	}
	if strings.HasPrefix(digits, "-") {
		total = -total
	}
	return total, true
}

// yamlTimestamp gives the text of a timestamp as Patroni prints it back. A day that
// does not exist stays text.
func yamlTimestamp(text string) (string, bool) {
	m := timestampForm.FindStringSubmatch(text)
	if m == nil || (m[4] == "" && !dateForm.MatchString(text)) {
		return "", false
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(m[i]) // the pattern allows digits and the empty text only
		return n
	}
	zone, zoned := time.UTC, m[8] != "" || m[9] != ""
	if m[9] != "" {
		offset := number(10)*3600 + number(11)*60
		if m[9] == "-" {
			offset = -offset
		}
		zone = time.FixedZone("", offset)
	}
	fraction, _ := strconv.Atoi((m[7] + "000000")[:6])
	t := time.Date(number(1), time.Month(number(2)), number(3),
		number(4), number(5), number(6), fraction*1000, zone)
	if t.Year() != number(1) || int(t.Month()) != number(2) || t.Day() != number(3) ||
		t.Hour() != number(4) || t.Minute() != number(5) || t.Second() != number(6) {
		return "", false
	}
	if m[4] == "" {
		return t.Format("2006-01-02"), true
	}
	return timestampText(t, zoned), true
}
