package ctl

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// codesKey is the annotation of a command that holds its exit codes, for its help.
const codesKey = "exit codes"

// helpTemplate is the library's, with the exit codes at its end.
const helpTemplate = `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}{{with index .Annotations "exit codes"}}
Exit codes:
{{.}}{{end}}`

// Codes has a command's help tell what its exit codes mean: texts[0] is that of 0.
// An empty one is a code that it does not have.
func Codes(cmd *cobra.Command, texts ...string) {
	var b strings.Builder
	for code, text := range texts {
		if text != "" {
			fmt.Fprintf(&b, "  %d  %s\n", code, text)
		}
	}
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[codesKey] = b.String()
}

const (
	codeUsage = "the command line is wrong"
	codeNo    = "it failed, or a question was answered with no"
)

// reading are the commands that change nothing, with what they fail by.
var reading = map[string]string{
	"list": "", "topology": "", "history": "", "show-config": "", "dsn": "no such member, or ", "top": "", "config": "", "explain": "the file cannot be read, or ",
}

// codes documents the exit codes of our own commands.
func (a *app) codes(cmd *cobra.Command) {
	name := cmd.Name()
	if what, reads := reading[name]; reads {
		Codes(cmd, "done", what+"the store did not answer, or it failed otherwise", codeUsage)
		return
	}
	switch name {
	case "edit-config":
		Codes(cmd, "written, or there was nothing to change", a.declined("nothing was written: it is invalid, somebody else was faster, it failed"), codeUsage)
	case "query":
		Codes(cmd, a.otherwise("done", "done, or the SQL failed: the output tells"), a.otherwise("it failed: no such member, no connection, the SQL", "it failed"), codeUsage)
	case "remove":
		Codes(cmd, "done", codeNo, codeUsage)
	case "version":
		Codes(cmd, "done, whether a member answered or not", "it failed", codeUsage)
	default:
		if a.Strict {
			Codes(cmd, "done", codeNo, codeUsage, "a member refused, or failed", "a member was not reached", "nobody can tell what came of it; it may still take effect")
			return
		}
		Codes(cmd, "done, or a member refused: the output tells", "it failed, a member was not reached, or a question was answered with no", codeUsage)
	}
}

// declined adds what only our own name makes a failure of.
func (a *app) declined(text string) string {
	return a.otherwise(text+", or the question was answered with no", text)
}

// otherwise is the first under our own name, and the second as patronictl.
func (a *app) otherwise(own, patronictl string) string {
	if a.Strict {
		return own
	}
	return patronictl
}
