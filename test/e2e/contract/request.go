// Package contract asks two agents the same and compares their answers field by
// field: the code, each header, each value of a document with its type, each metric.
//
// It speaks HTTP by hand, because a client library hides what a load balancer sees:
// an answer without headers, one that is missing, a request without a length.
package contract

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Dialer is how connections are made.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Request is what both are asked.
type Request struct {
	Method string
	Path   string  // with its query
	Body   *string // nil: without a body, and without its length
	Auth   string  // the Authorization header
}

func (r Request) String() string {
	text := r.Method + " " + r.Path
	if r.Body != nil {
		text += " " + *r.Body
	}
	if r.Auth != "" {
		scheme, _, _ := strings.Cut(r.Auth, " ")
		text += " (" + scheme + " …" + r.Auth[max(0, len(r.Auth)-4):] + ")"
	}
	return text
}

// Basic is the Authorization header of a user.
func Basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// Answer is what came back. Code 0 is a connection that was closed in silence.
type Answer struct {
	Code   int
	Header http.Header
	Body   string
}

// Send asks at an address, on a connection of its own, in the version of HTTP that
// load balancers use for their checks.
func (r Request) Send(ctx context.Context, dial Dialer, address string) (Answer, error) {
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return Answer{}, fmt.Errorf("%s at %s: %w", r, address, err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return Answer{}, fmt.Errorf("%s at %s: %w", r, address, err)
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s HTTP/1.0\r\nHost: %s\r\n", r.Method, r.Path, address)
	if r.Auth != "" {
		fmt.Fprintf(&text, "Authorization: %s\r\n", r.Auth)
	}
	if r.Body != nil {
		fmt.Fprintf(&text, "Content-Length: %d\r\n", len(*r.Body))
	}
	text.WriteString("\r\n")
	if r.Body != nil {
		text.WriteString(*r.Body)
	}
	if _, err := io.WriteString(conn, text.String()); err != nil {
		return Answer{}, fmt.Errorf("%s at %s: %w", r, address, err)
	}
	in := bufio.NewReader(conn)
	if _, err := in.Peek(1); err == io.EOF {
		return Answer{}, nil
	}
	got, err := http.ReadResponse(in, &http.Request{Method: r.Method})
	if err != nil {
		return Answer{}, fmt.Errorf("%s at %s: %w", r, address, err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("%s at %s: %w", r, address, err)
	}
	return Answer{Code: got.StatusCode, Header: got.Header, Body: string(body)}, nil
}
