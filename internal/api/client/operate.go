package client

import (
	"context"
	"net/http"
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

// PatchConfig merges the patch into the dynamic configuration, by way of the member.
// A nil value removes a key.
func (c *Client) PatchConfig(ctx context.Context, apiURL string, patch map[string]any) (Answer, error) {
	return c.Do(ctx, http.MethodPatch, apiURL, "config", patch)
}

// Unschedule asks the member to forget what is scheduled: restart or switchover.
func (c *Client) Unschedule(ctx context.Context, apiURL, what string) (Answer, error) {
	return c.Do(ctx, http.MethodDelete, apiURL, what, nil)
}
