package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// AuthError says that etcd does not accept the credentials. Asking again does
// not help.
type AuthError struct {
	Username string
	Err      error
}

func (e *AuthError) Error() string {
	if e.Username == "" {
		return fmt.Sprintf("etcd wants a user name and a password: %v", e.Err)
	}
	return fmt.Sprintf("etcd refuses the credentials of user %q: %v", e.Username, e.Err)
}

func (e *AuthError) Unwrap() error { return e.Err }

// UnknownError says that a write was sent and no answer came: it may have been
// applied, or be applied later.
type UnknownError struct {
	Endpoint string
	Err      error
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("no answer from etcd at %s, the write may have been applied: %v", e.Endpoint, e.Err)
}

func (e *UnknownError) Unwrap() error { return e.Err }

// MayBeApplied tells that the write must not be repeated blindly.
func (e *UnknownError) MayBeApplied() bool { return true }

var (
	errNotConnected = errors.New("not connected")
	errStale        = errors.New("answer from a member that was left behind (its term or cluster is an older one)")
)

// outcome is what an error tells about the request.
type outcome int

const (
	// refused: etcd answered no. Another member would say the same.
	refused outcome = iota
	// notApplied: this member did not do it; another one may.
	notApplied
	// noAnswer: it may have been done.
	noAnswer
)

// outcomeOf reads an error of one request. Everything that is not known to be
// harmless counts as noAnswer.
func outcomeOf(err error) outcome {
	var auth *AuthError
	switch {
	case errors.Is(err, errNotConnected), errors.Is(err, errStale):
		return notApplied
	case errors.As(err, &auth):
		return refused
	}
	switch message(err) {
	case message(rpctypes.ErrGRPCNoLeader), // refused by the interceptor, before the request is looked at
		proposalDropped,
		message(rpctypes.ErrGRPCNotCapable),
		message(rpctypes.ErrGRPCNotSupportedForLearner),
		message(rpctypes.ErrGRPCRequestTooManyRequests), // refused before it is proposed
		message(rpctypes.ErrGRPCInvalidAuthToken),
		message(rpctypes.ErrGRPCAuthOldRevision):
		return notApplied
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.PermissionDenied, codes.NotFound,
		codes.OutOfRange, codes.Unimplemented, codes.ResourceExhausted:
		return refused
	}
	return noAnswer
}

// proposalDropped is what a member says that could neither take a proposal in nor pass it
// on, since just then it knows of no leader or the leader is being moved (raft's
// ErrProposalDropped, which etcd has no code of its own for). One that was passed on and
// lost has no answer at all.
const proposalDropped = "raft proposal dropped"

// message is etcd's text of an error: its codes alone are too coarse.
func message(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	return ""
}

func is(err, grpcErr error) bool {
	return err != nil && message(err) == message(grpcErr)
}

// wantsNewToken tells the errors that a fresh token may cure. Permission denied
// is among them: the token may be from before the role was granted.
func wantsNewToken(err error) bool {
	return is(err, rpctypes.ErrGRPCInvalidAuthToken) || is(err, rpctypes.ErrGRPCAuthOldRevision) ||
		is(err, rpctypes.ErrGRPCUserEmpty) || is(err, rpctypes.ErrGRPCPermissionDenied)
}

// plain makes an error fit to be read: gRPC's wrapping goes, the context's
// errors are found by errors.Is.
func plain(err error) error {
	s, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	switch s.Code() {
	case codes.DeadlineExceeded:
		return fmt.Errorf("etcd did not answer: %w", context.DeadlineExceeded)
	case codes.Canceled:
		return fmt.Errorf("asking etcd: %w", context.Canceled)
	}
	return errors.New(s.Message())
}
