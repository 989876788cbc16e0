package client

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Gauges are the metrics of a member that have one value: those without any label
// beside the cluster's and the member's name. It gives up after two seconds, as
// Status does.
func (c *Client) Gauges(ctx context.Context, apiURL string) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	a, err := c.Do(ctx, http.MethodGet, apiURL, "metrics", nil)
	if err != nil {
		return nil, err
	}
	if a.Code != http.StatusOK {
		return nil, fmt.Errorf("read the metrics of %s: status code %d", apiURL, a.Code)
	}
	return gauges(a.Text), nil
}

// gauges reads the text format of Prometheus. Lines that are not understood are
// passed over.
func gauges(text string) map[string]float64 {
	out := map[string]float64{}
	for line := range strings.Lines(text) {
		name, rest, found := strings.Cut(strings.TrimSpace(line), "{")
		labels, value, closed := cutLast(rest, "}")
		if !found || !closed || strings.HasPrefix(name, "#") || !onlyNames(labels) {
			continue
		}
		if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
			out[name] = n
		}
	}
	return out
}

func cutLast(text, sep string) (before, after string, found bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}

// onlyNames reports that the labels are those that every metric has.
func onlyNames(labels string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(labels, ","), `",`) {
		if name, _, _ := strings.Cut(label, "="); name != "scope" && name != "name" {
			return false
		}
	}
	return true
}
