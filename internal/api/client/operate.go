package client

import (
	"context"
	"encoding/json"
	"net/http"

	"matriarch/internal/api"
)

// Restart asks for a restart, now or at a time. Each condition counts if it is set.
type Restart struct {
	At      string `json:"schedule,omitempty"` // ISO 8601 with offset; empty: now
	Role    string `json:"role,omitempty"`
	Version string `json:"postgres_version,omitempty"` // only below this version
	Timeout string `json:"timeout,omitempty"`          // for the start: seconds, or with a unit
	Pending bool   `json:"restart_pending,omitempty"`  // only if a restart is pending
}

// Restart asks the member to restart its server. Without At it is answered when that
// is over, so the context decides how long to wait.
func (c *Client) Restart(ctx context.Context, apiURL string, r Restart) (Answer, error) {
	return c.Do(ctx, http.MethodPost, apiURL, "restart", r)
}

// Reinitialize asks for the member's data to be copied anew.
type Reinitialize struct {
	Force      bool `json:"force,omitempty"`       // cancel what is under way
	FromLeader bool `json:"from_leader,omitempty"` // from the leader in any case
}

// Reinitialize asks the member to copy its data anew. It is answered when that has
// begun: its state is "creating replica" until it is over.
func (c *Client) Reinitialize(ctx context.Context, apiURL string, r Reinitialize) (Answer, error) {
	return c.Do(ctx, http.MethodPost, apiURL, "reinitialize", r)
}

// Reload asks the member to read its configuration file again.
func (c *Client) Reload(ctx context.Context, apiURL string) (Answer, error) {
	return c.Do(ctx, http.MethodPost, apiURL, "reload", nil)
}

// Reloaded is what a member tells of its last reload.
type Reloaded = api.Reloaded

// LastReload asks what came of it. ok is false where it cannot tell:
// it is Patroni's, or of an older version.
func (c *Client) LastReload(ctx context.Context, apiURL string) (last Reloaded, ok bool) {
	a, err := c.Do(ctx, http.MethodGet, apiURL, "reload/result", nil)
	if err != nil || a.Code != http.StatusOK {
		return Reloaded{}, false
	}
	var out struct {
		Reloaded
		Count *int `json:"count"`
	}
	if json.Unmarshal([]byte(a.Text), &out) != nil || out.Count == nil { // a status is a document too
		return Reloaded{}, false
	}
	out.Reloaded.Count = *out.Count
	return out.Reloaded, true
}

// PatchConfig merges the patch into the dynamic configuration, by way of the member.
// A nil value removes a key.
func (c *Client) PatchConfig(ctx context.Context, apiURL string, patch map[string]any) (Answer, error) {
	return c.Do(ctx, http.MethodPatch, apiURL, "config", patch)
}

// Unschedule asks the member to forget what is scheduled: restart or switchover.
func (c *Client) Unschedule(ctx context.Context, apiURL, what string) (Answer, error) {
	return c.Do(ctx, http.MethodDelete, apiURL, what, nil)
}
