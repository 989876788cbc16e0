package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Answer is what a node's REST interface says.
type Answer struct {
	Code int
	Body []byte
}

// Document is the body as JSON.
func (a Answer) Document() map[string]any {
	var out map[string]any
	if json.Unmarshal(a.Body, &out) != nil {
		return nil
	}
	return out
}

// Ask sends a request to the node's REST interface. It counts as no answer when
// none comes within limit.
func (n *Node) Ask(ctx context.Context, limit time.Duration, method, path, body string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+n.Host+":8008"+path, strings.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	transport := &http.Transport{DialContext: n.cluster.Client.Dial, DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return Answer{response.StatusCode, text}, err
}

// WaitCodes waits until each path gives its code: what a health check sees.
func (n *Node) WaitCodes(limit time.Duration, want map[string]int) {
	n.t.Helper()
	Eventually(n.t, limit, fmt.Sprintf("the checks of %s give %v", n.Name, want), func(ctx context.Context) (bool, string) {
		got, same := map[string]int{}, true
		for path, code := range want {
			for _, method := range methods(path) {
				a, err := n.Ask(ctx, 5*time.Second, method, path, "")
				if err != nil {
					return false, err.Error()
				}
				got[method+" "+path] = a.Code
				same = same && a.Code == code
			}
		}
		return same, fmt.Sprint(got)
	})
}

// methods are those that a check may use. The two for Kubernetes are GET only,
// as in Patroni; HAProxy asks by OPTIONS.
func methods(path string) []string {
	if path == "/liveness" || path == "/readiness" {
		return []string{http.MethodGet}
	}
	return []string{http.MethodGet, http.MethodOptions}
}
