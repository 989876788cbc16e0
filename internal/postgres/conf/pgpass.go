package conf

import "strings"

// PasswordLine renders the lines of a password file for one server: a line for
// each host of a comma list, and one for localhost when a host is a socket
// directory, because libpq looks a socket up under that name. A missing field
// matches everything.
func PasswordLine(host, port, user, password string) string {
	var lines strings.Builder
	socket := false
	for _, h := range strings.Split(host, ",") {
		writePasswordLine(&lines, h, port, user, password)
		socket = socket || strings.HasPrefix(h, "/")
	}
	if socket {
		writePasswordLine(&lines, "localhost", port, user, password)
	}
	return lines.String()
}

func writePasswordLine(out *strings.Builder, host, port, user, password string) {
	escape := strings.NewReplacer(`\`, `\\`, `:`, `\:`)
	for _, field := range []string{host, port, "", user} {
		if field == "" {
			field = "*"
		}
		out.WriteString(escape.Replace(field) + ":")
	}
	out.WriteString(escape.Replace(password) + "\n")
}
