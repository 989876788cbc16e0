// Package client speaks to the REST API of a member, be it Matriarch's or
// Patroni's.
//
// Every call ends: at the context's deadline, or at its own where there is none.
// An error means that nothing is known of what the member did with the request;
// NotSent tells when it certainly did nothing.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"matriarch/internal/api"
)

// Options are the ctl section of the configuration, with what it takes over from
// restapi already filled in.
type Options struct {
	Username, Password string
	CACert             string // verifies members; empty: the system's
	CertFile           string
	KeyFile            string
	KeyPassword        string
	Insecure           bool // do not verify members
	UserAgent          string
}

const (
	statusTimeout  = 2 * time.Second  // the peers' patience in a race
	connectTimeout = 3 * time.Second  // for a request of an operator
	requestTimeout = 30 * time.Second // an operator's request that is answered when done
	bodyBytes      = 4 << 20
)

// Client can be used by many goroutines at once.
type Client struct{ way atomic.Pointer[way] }

// way is how members are called; a reload replaces it whole.
type way struct {
	options Options
	http    *http.Client
}

// TLS is how members are called over TLS. It reads the certificates.
func TLS(o Options) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.Insecure}
	if o.CACert != "" {
		pool, err := api.LoadCAs(o.CACert)
		if err != nil {
			return nil, err
		}
		config.RootCAs = pool
	}
	if o.CertFile != "" {
		pair, err := api.LoadKeyPair(o.CertFile, o.KeyFile, o.KeyPassword)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// New reads the certificates.
func New(o Options) (*Client, error) {
	c := &Client{}
	if err := c.Renew(o); err != nil {
		return nil, err
	}
	return c, nil
}

// Renew takes new settings and reads the certificates anew. With an error the old
// ones stay. Requests that are under way end as they began.
func (c *Client) Renew(o Options) error {
	config, err := TLS(o)
	if err != nil {
		return err
	}
	if o.UserAgent == "" {
		o.UserAgent = "Matriarch"
	}
	c.way.Store(&way{options: o, http: &http.Client{
		// The members are neighbours: a proxy from the environment would only be
		// one more thing that can be down.
		Transport: &http.Transport{
			Proxy: nil, TLSClientConfig: config, DialContext: (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSHandshakeTimeout: connectTimeout, MaxIdleConnsPerHost: 1, IdleConnTimeout: 20 * time.Second,
			// A half-open connection to a node that was lost must not cost a race.
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}})
	return nil
}

// Answer is a member's reply to a request.
type Answer struct {
	Code   int
	Text   string
	Header http.Header
}

// Unsupported reports that the member does not know the endpoint.
func (a Answer) Unsupported() bool {
	return a.Code == http.StatusNotImplemented && strings.Contains(a.Text, "Server does not support this operation")
}

// Do sends a request to an endpoint of the member, next to its api_url. A nil
// body sends none.
func (c *Client) Do(ctx context.Context, method, apiURL, endpoint string, body any) (Answer, error) {
	where, err := beside(apiURL, endpoint)
	if err != nil {
		return Answer{}, err
	}
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, requestTimeout)
		defer cancel()
	}
	var payload io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return Answer{}, fmt.Errorf("encode the request for %s: %w", where, err)
		}
		payload = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, where, payload)
	if err != nil {
		return Answer{}, fmt.Errorf("call %s: %w", where, err)
	}
	by := c.way.Load()
	request.Header.Set("User-Agent", by.options.UserAgent)
	if by.options.Username != "" || by.options.Password != "" {
		request.SetBasicAuth(by.options.Username, by.options.Password)
	}
	response, err := by.http.Do(request)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // it repeats method and address
		}
		return Answer{}, fmt.Errorf("%s %s: %w", method, where, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, bodyBytes))
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer of %s: %w", where, err)
	}
	return Answer{Code: response.StatusCode, Text: string(data), Header: response.Header}, nil
}

// beside replaces the path of the member's api_url. Credentials in it are dropped:
// they would end up in errors.
func beside(apiURL, endpoint string) (string, error) {
	u, err := url.Parse(apiURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("the member's api_url is no http or https address")
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/" + strings.TrimPrefix(endpoint, "/")}).String(), nil
}

// NotSent reports that the request cannot have reached the member: there was no
// connection, or no agreement on TLS.
func NotSent(err error) bool {
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &certificate)
}

// Move asks for a switchover or a failover.
type Move struct {
	Leader    string `json:"leader,omitempty"`
	Candidate string `json:"candidate,omitempty"`
	At        string `json:"scheduled_at,omitempty"` // ISO 8601 with offset; empty: now
}

// Switchover asks the member for a switchover. It is answered when that is over,
// so the context decides how long to wait. Members before Patroni 2.1 know one
// endpoint for both.
func (c *Client) Switchover(ctx context.Context, apiURL string, m Move) (Answer, error) {
	a, err := c.Do(ctx, http.MethodPost, apiURL, "switchover", m)
	if err == nil && a.Unsupported() {
		return c.Failover(ctx, apiURL, m)
	}
	return a, err
}

// Failover asks the member for a failover, as Switchover does.
func (c *Client) Failover(ctx context.Context, apiURL string, m Move) (Answer, error) {
	return c.Do(ctx, http.MethodPost, apiURL, "failover", m)
}
