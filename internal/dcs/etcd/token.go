package etcd

import (
	"context"
	"fmt"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/metadata"
)

// tokens holds the credentials and the token that etcd gave for them. A token
// is good at every member.
type tokens struct {
	mu       sync.Mutex
	username string
	password string
	token    string
}

// use replaces the credentials.
func (t *tokens) use(username, password string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.username != username || t.password != password {
		t.username, t.password, t.token = username, password, ""
	}
}

// get returns the token, fetching one from e if there is none. No user name, or
// an etcd without authentication: no token, no error.
func (t *tokens) get(ctx context.Context, e *endpoint) (string, error) {
	t.mu.Lock()
	username, password, token := t.username, t.password, t.token
	t.mu.Unlock()
	if username == "" || token != "" {
		return token, nil
	}
	resp, err := e.auth.Authenticate(ctx, &pb.AuthenticateRequest{Name: username, Password: password})
	switch {
	case is(err, rpctypes.ErrGRPCAuthNotEnabled):
		return "", nil
	case is(err, rpctypes.ErrGRPCAuthFailed), is(err, rpctypes.ErrGRPCUserNotFound):
		return "", &AuthError{Username: username, Err: plain(err)}
	case err != nil:
		// No request of ours went out yet, whatever became of this one.
		return "", fmt.Errorf("authenticate: %w: %w", errNotConnected, plain(err))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.username == username && t.password == password {
		t.token = resp.Token
	}
	return resp.Token, nil
}

// had is the token that was fetched last; empty: none.
func (t *tokens) had() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token
}

// drop forgets a token that etcd refused. It reports whether a new one can be had.
func (t *tokens) drop(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
	return t.username != ""
}

var tokenField = rpctypes.TokenFieldNameGRPC

// outgoing is ctx with what every request carries. A member without a leader is
// to refuse at once, rather than to wait for one.
func outgoing(ctx context.Context, token string) context.Context {
	pairs := []string{rpctypes.MetadataRequireLeaderKey, rpctypes.MetadataHasLeader}
	if token != "" {
		pairs = append(pairs, tokenField, token)
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}
