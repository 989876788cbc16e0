package cluster

import (
	"slices"
	"strconv"
	"strings"
)

// StandbyNames is a value of synchronous_standby_names (PostgreSQL manual, 20.6.1):
// how many of these standbys a commit waits for. The zero value: for none.
type StandbyNames struct {
	Any   bool // no matter which of them; else the first of the list that are connected
	Count int
	Names []string // "*" stands for every standby there is
}

// AnyStandby is the name that stands for every standby.
const AnyStandby = "*"

// Members are the names that name somebody.
func (s StandbyNames) Members() []string {
	return slices.DeleteFunc(slices.Clone(s.Names), func(name string) bool { return name == AnyStandby })
}

// Same reports whether two values ask for the same. PostgreSQL compares application
// names without regard to case, and the order says nothing where a commit waits for all.
func (s StandbyNames) Same(t StandbyNames) bool {
	return s.Any == t.Any && s.Count == t.Count && len(s.Names) == len(t.Names) && slices.Equal(folded(s.Names), folded(t.Names))
}

func folded(names []string) []string {
	var out []string
	for _, name := range names {
		out = append(out, strings.ToLower(name))
	}
	slices.Sort(out)
	return out
}

// String is the value as Patroni writes it: names in their order, the bare name where
// a commit waits for one standby (compat/behaviour.md §7.1).
func (s StandbyNames) String() string {
	if len(s.Names) == 0 {
		return ""
	}
	var list []string
	for _, name := range slices.Sorted(slices.Values(s.Names)) {
		list = append(list, quotedStandby(name))
	}
	text := strings.Join(list, ",")
	switch {
	case s.Any:
		return "ANY " + strconv.Itoa(s.Count) + " (" + text + ")"
	case len(list) == 1:
		return text
	}
	return strconv.Itoa(s.Count) + " (" + text + ")"
}

// quotedStandby quotes what the parser would not take for a name (syncrep_scanner.l).
func quotedStandby(name string) string {
	if name == AnyStandby || plainStandby(name) && !strings.EqualFold(name, "any") && !strings.EqualFold(name, "first") {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func plainStandby(name string) bool {
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '$') {
			return false
		}
	}
	return name != ""
}

// ParseStandbyNames reads a value. ok is false for one that PostgreSQL would refuse.
func ParseStandbyNames(text string) (names StandbyNames, ok bool) {
	words, ok := standbyWords(text)
	if !ok || len(words) == 0 {
		return StandbyNames{}, ok
	}
	names.Count = 1
	keyword := len(words) > 1 && !words[0].quoted && (strings.EqualFold(words[0].text, "any") || strings.EqualFold(words[0].text, "first")) && words[1].text != ","
	if keyword {
		names.Any = strings.EqualFold(words[0].text, "any")
		words = words[1:]
	}
	if len(words) > 1 && !words[1].quoted && words[1].text == "(" {
		n, err := strconv.Atoi(words[0].text)
		last := words[len(words)-1]
		if err != nil || n < 1 || last.quoted || last.text != ")" {
			return StandbyNames{}, false
		}
		names.Count, words = n, words[2:len(words)-1]
	} else if keyword {
		return StandbyNames{}, false
	}
	for i, w := range words {
		separator := !w.quoted && w.text == ","
		if separator != (i%2 == 1) || !w.quoted && (w.text == "(" || w.text == ")") {
			return StandbyNames{}, false
		}
		if !separator {
			names.Names = append(names.Names, w.text)
		}
	}
	if len(words)%2 == 0 {
		return StandbyNames{}, false
	}
	return names, true
}

type standbyWord struct {
	text   string
	quoted bool
}

// standbyWords takes the text apart at blanks, commas and brackets.
func standbyWords(text string) (words []standbyWord, ok bool) {
	for text != "" {
		switch c := text[0]; {
		case strings.IndexByte(" \t\n\r\f\v", c) >= 0:
			text = text[1:]
		case strings.IndexByte(",()", c) >= 0:
			words = append(words, standbyWord{text: text[:1]})
			text = text[1:]
		case c == '"':
			name, rest, closed := quotedName(text[1:])
			if !closed {
				return nil, false
			}
			words = append(words, standbyWord{name, true})
			text = rest
		default:
			end := strings.IndexAny(text, " \t\n\r\f\v,()\"")
			if end < 0 {
				end = len(text)
			}
			words = append(words, standbyWord{text: text[:end]})
			text = text[end:]
		}
	}
	return words, true
}

// quotedName reads up to the closing quote; a doubled one stands for itself.
func quotedName(text string) (name, rest string, closed bool) {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '"':
			out.WriteByte(text[i])
		case i+1 < len(text) && text[i+1] == '"':
			out.WriteByte('"')
			i++
		default:
			return out.String(), text[i+1:], true
		}
	}
	return "", "", false
}
