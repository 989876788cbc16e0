package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"matriarch/internal/cluster"
)

// Server is what a member says of its server, for following a restart or a copy to
// its end.
type Server struct {
	State            cluster.State `json:"state"`
	Role             cluster.Role  `json:"role"`
	Started          string        `json:"postmaster_start_time"` // another one after every start; empty: no connection
	ReplicationState string        `json:"replication_state"`
}

// Server asks the member for its server's state. It gives up after two seconds, as
// Status does.
func (c *Client) Server(ctx context.Context, apiURL string) (Server, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	a, err := c.Do(ctx, http.MethodGet, apiURL, "patroni", nil)
	if err != nil {
		return Server{}, err
	}
	var out Server
	if err := json.Unmarshal([]byte(a.Text), &out); err != nil {
		return Server{}, fmt.Errorf("read the status that %s sent with code %d: %w", apiURL, a.Code, err)
	}
	return out, nil
}
