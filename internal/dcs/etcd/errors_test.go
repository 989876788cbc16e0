package etcd

import (
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A write is repeated after notApplied only, so what is not certain must be
// noAnswer.
func TestOutcomeOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want outcome
	}{
		{errNotConnected, notApplied},
		{fmt.Errorf("authenticate: %w", errNotConnected), notApplied},
		{rpctypes.ErrGRPCNoLeader, notApplied},
		{rpctypes.ErrGRPCInvalidAuthToken, notApplied},
		{rpctypes.ErrGRPCAuthOldRevision, notApplied},
		{rpctypes.ErrGRPCRequestTooManyRequests, notApplied},
		{status.Error(codes.Unknown, "raft proposal dropped"), notApplied},
		{rpctypes.ErrGRPCLeaseNotFound, refused},
		{rpctypes.ErrGRPCPermissionDenied, refused},
		{rpctypes.ErrGRPCNoSpace, refused},
		{&AuthError{Err: errors.New("no")}, refused},
		{rpctypes.ErrGRPCTimeout, noAnswer},
		{rpctypes.ErrGRPCTimeoutDueToLeaderFail, noAnswer},
		{rpctypes.ErrGRPCLeaderChanged, noAnswer},
		{rpctypes.ErrGRPCStopped, noAnswer},
		{status.Error(codes.Unavailable, "error reading from server: EOF"), noAnswer},
		{status.Error(codes.DeadlineExceeded, "context deadline exceeded"), noAnswer},
		{status.Error(codes.Unknown, "whatever"), noAnswer},
		{errors.New("whatever"), noAnswer},
	} {
		if got := outcomeOf(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}
