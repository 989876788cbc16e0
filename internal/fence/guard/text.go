package guard

// Few words of package strings, which this package does without: it needs package
// unicode, and so does reflect, and once reflect is ready all that the alphabet
// puts before strings comes first, encoding/json and protobuf among it.

// index is where sep begins in s; -1 where it is not.
func index(s, sep string) int {
	for i := 0; i+len(sep) <= len(s); i++ {
		if s[i:i+len(sep)] == sep {
			return i
		}
	}
	return -1
}

func contains(s, part string) bool { return index(s, part) >= 0 }

// cut returns what is before and after the first sep.
func cut(s, sep string) (before, after string, found bool) {
	if i := index(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func hasPrefix(s, prefix string) bool { return len(s) >= len(prefix) && s[:len(prefix)] == prefix }

// cutPrefix returns what follows a prefix, if it is there.
func cutPrefix(s, prefix string) (after string, found bool) {
	if hasPrefix(s, prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

// lines splits at every line's end.
func lines(s string) []string {
	var all []string
	for found := true; found; {
		var line string
		line, s, found = cut(s, "\n")
		all = append(all, line)
	}
	return all
}

// words splits at blanks, tabs and line ends, which it drops.
func words(s string) []string {
	var all []string
	begin := -1
	for i := range len(s) + 1 {
		blank := i == len(s) || s[i] == ' ' || s[i] == '\t' || s[i] == '\n'
		switch {
		case blank && begin >= 0:
			all = append(all, s[begin:i])
			begin = -1
		case !blank && begin < 0:
			begin = i
		}
	}
	return all
}

// word is the first of words, as of a file of /proc that holds but one.
func word(s string) string {
	if all := words(s); len(all) > 0 {
		return all[0]
	}
	return ""
}

// above is the directory that a clean absolute path is in.
func above(path string) string {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '/' {
			return path[:i]
		}
	}
	return "/"
}

// lastByte is where c is for the last time in b; -1 where it is not.
func lastByte(b []byte, c byte) int {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] == c {
			return i
		}
	}
	return -1
}

// firstByte is where c is for the first time in b; -1 where it is not.
func firstByte(b []byte, c byte) int {
	for i, have := range b {
		if have == c {
			return i
		}
	}
	return -1
}
