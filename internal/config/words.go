package config

import (
	"errors"
	"strings"
)

// Words splits a command as a POSIX shell splits words, with quotes and backslashes
// but no expansion. Patroni runs every configured command this way.
func Words(command string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, escaped := false, false
	var quote rune
	for _, c := range command {
		switch {
		case escaped:
			if quote == '"' && c != '"' && c != '\\' {
				word.WriteByte('\\')
			}
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0:
			if c == quote {
				quote = 0
			} else {
				word.WriteRune(c)
			}
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case strings.ContainsRune(" \t\r\n", c):
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if escaped {
		return nil, errors.New("a backslash stands at the end")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// unquoteOnce removes one level of shell quotes from a text that is one word.
func unquoteOnce(text string) string {
	if words, err := Words(text); err == nil && len(words) == 1 {
		return words[0]
	}
	return text
}
