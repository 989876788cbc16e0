package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"matriarch/internal/dcs"
)

// request is one call of etcd's API at one member.
type request func(ctx context.Context, e *endpoint) error

// read makes a request that may be repeated, at one member after the other until
// one answers or ctx ends.
func (s *Store) read(ctx context.Context, do request) error {
	return s.try(ctx, true, do)
}

// write makes a request that must not be applied twice. It is repeated only
// after proof that it was not applied.
func (s *Store) write(ctx context.Context, do request) error {
	return s.try(ctx, false, do)
}

func (s *Store) try(ctx context.Context, repeatable bool, do request) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var last error
	var pause pauses
	for {
		for _, e := range s.pool.inOrder() {
			if ctx.Err() != nil {
				break
			}
			err := s.once(ctx, e, repeatable, do)
			if err == nil {
				s.pool.works(e)
				return nil
			}
			last = fmt.Errorf("etcd at %s: %w", e.url, plain(err))
			switch outcomeOf(err) {
			case refused:
				return err // the callers read etcd's own error
			case noAnswer:
				s.suspect(e)
				if !repeatable {
					s.pool.failed(e)
					return s.ended(&UnknownError{Endpoint: e.url, Err: plain(err)})
				}
			}
			s.pool.failed(e)
		}
		if !pause.wait(ctx) {
			if last == nil {
				last = ctx.Err()
			}
			return s.ended(last)
		}
	}
}

// once makes one try at one member, with a deadline of its own, and a second
// one if etcd wanted a new token.
func (s *Store) once(ctx context.Context, e *endpoint, repeatable bool, do request) error {
	ctx, cancel := context.WithTimeout(ctx, s.tryTimeout(ctx, repeatable))
	defer cancel()
	defer e.asked()()
	// A read goes out all the same: its error tells why there is no connection.
	if err := e.connected(ctx); err != nil && !(repeatable && ctx.Err() == nil) {
		return err
	}
	for again := false; ; again = true {
		token, err := s.tokens.get(ctx, e)
		if err != nil {
			return err
		}
		err = do(outgoing(ctx, token), e)
		switch {
		case !wantsNewToken(err):
			return err
		case s.tokens.drop(token) && !again:
			continue
		case is(err, rpctypes.ErrGRPCUserEmpty):
			return &AuthError{Err: plain(err)}
		default:
			return err
		}
	}
}

// tryTimeout leaves a repeatable request with a short deadline time for a second
// member.
func (s *Store) tryTimeout(ctx context.Context, repeatable bool) time.Duration {
	timeout := s.cfg.RequestTimeout
	if deadline, ok := ctx.Deadline(); ok && repeatable {
		timeout = min(timeout, time.Until(deadline)/2)
	}
	return timeout
}

// bounded is ctx that ends with RetryTimeout and with the store.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RetryTimeout)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// ended adds to an error that the store was closed meanwhile.
func (s *Store) ended(err error) error {
	if s.ctx.Err() != nil {
		return errors.Join(dcs.ErrClosed, err)
	}
	return err
}
