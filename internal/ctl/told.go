package ctl

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"strings"

	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
)

// quick sends a request that is answered at once.
func (a *app) quick(ctx context.Context, call func(context.Context) (client.Answer, error)) (client.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return call(ctx)
}

// told prints a member's answer to an action, or that there is none, and says what
// that means: refused, certainly not done, or not known.
func (m *memberAction) told(action, name string, answer client.Answer, err error) outcome {
	answer.Text = withoutPage(answer.Text)
	o := outcome{Member: name, Code: answer.Code, Text: answer.Text, Result: resultRefused}
	switch {
	case err == nil && answer.Code < http.StatusBadRequest:
		m.line("Success: %s for member %s\n", action, name)
		o.Result = resultDone
	case err == nil:
		m.line("Failed: %s for member %s, status code=%d, (%s)\n", action, name, answer.Code, answer.Text)
	case client.NotSent(err):
		m.line("Failed: %s for member %s, (%v)\n", action, name, err)
		o.Result, o.Text = resultUnreachable, err.Error()
	default:
		text := fmt.Sprintf("%v; the request may still take effect", err)
		m.line("Result unknown: %s for member %s, (%s)\n", action, name, text)
		o.Result, o.Text = resultUnknown, text
	}
	return o
}

// withoutPage takes the message out of an error page of HTML: the rest of it says
// nothing to anybody.
func withoutPage(text string) string {
	if _, rest, found := strings.Cut(text, "<p>Message: "); found && strings.HasPrefix(text, "<") {
		message, _, _ := strings.Cut(rest, "</p>")
		return html.UnescapeString(message)
	}
	return text
}

// unreachableMember is one that was not even asked, for it does not answer.
func (m *memberAction) unreachableMember(member cluster.Member, err error) outcome {
	m.line("Failed: %s for member %s, (%v)\n", m.verb, member.Name, err)
	return outcome{Member: member.Name, Result: resultUnreachable, Text: err.Error()}
}
