package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"matriarch/internal/dcs"
)

// Store is a dcs.Store over etcd.
type Store struct {
	cfg    Config
	log    *slog.Logger
	pool   *pool
	tokens *tokens
	guard  *guard
	mirror *mirror

	leaseMu  sync.Mutex
	held     dcs.Lease
	renewing chan struct{} // holds one value while nobody renews

	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	discover chan struct{}
	suspects chan *endpoint // members that left a call unanswered
	running  sync.WaitGroup
}

var _ dcs.Store = (*Store)(nil)

// waitingEvery is how often a start that waits for etcd says so.
const waitingEvery = 5 * time.Second

// Open connects, reads the prefix and starts to watch it. It waits for etcd as
// long as ctx lasts. Credentials that etcd refuses end it with an *AuthError.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg, err := cfg.prepared()
	if err != nil {
		return nil, err
	}
	conf, err := cfg.TLS.config()
	if err != nil {
		return nil, err
	}
	own, cancel := context.WithCancel(context.Background())
	s := &Store{
		cfg:      cfg,
		log:      cfg.Logger,
		pool:     &pool{home: cfg.Home, conf: conf, dialTimeout: cfg.DialTimeout},
		tokens:   &tokens{username: cfg.Username, password: cfg.Password},
		guard:    &guard{now: time.Now},
		mirror:   newMirror(),
		renewing: make(chan struct{}, 1),
		ctx:      own,
		cancel:   cancel,
		discover: make(chan struct{}, 1),
		suspects: make(chan *endpoint, 1),
	}
	s.renewing <- struct{}{}
	if err := s.start(ctx); err != nil {
		cancel()
		s.pool.close()
		return nil, err
	}
	return s, nil
}

func (s *Store) start(ctx context.Context) error {
	urls, err := s.waitForEtcd(ctx)
	if err != nil {
		return err
	}
	s.running.Go(s.watchLoop)
	if !s.cfg.UseProxies {
		s.running.Go(func() { s.discoverLoop(urls) })
	}
	return nil
}

// waitForEtcd returns the configured endpoints after the first read.
func (s *Store) waitForEtcd(ctx context.Context) ([]string, error) {
	var said time.Time
	var pause pauses
	patience := s.cfg.RequestTimeout // the first word that etcd is away comes early
	for {
		urls, err := s.endpoints(ctx)
		if err == nil {
			err = s.pool.set(urls)
		}
		if err == nil {
			try, cancel := context.WithTimeout(ctx, patience)
			_, err = s.Read(try)
			cancel()
		}
		var auth *AuthError
		switch {
		case err == nil:
			return urls, nil
		case errors.As(err, &auth):
			return nil, err
		case ctx.Err() != nil:
			return nil, fmt.Errorf("wait for etcd: %w", errors.Join(context.Cause(ctx), err))
		}
		if time.Since(said) >= waitingEvery {
			said = time.Now()
			s.log.Info("waiting for etcd", "err", err)
		}
		patience = waitingEvery
		pause.wait(ctx)
	}
}

// SetCredentials replaces user name and password, as a reload does.
func (s *Store) SetCredentials(username, password string) { s.tokens.use(username, password) }

// Mirror is the prefix as last seen and whether a standing watch feeds it.
func (s *Store) Mirror() (dcs.Snapshot, bool) { return s.mirror.snapshot() }

// Changed receives after each visible change of the mirror, of its currency, or
// of the lease's identity. A mere extension of the lease does not count: it would
// wake the very loop that sent it.
func (s *Store) Changed() <-chan struct{} { return s.mirror.changed }

// Close ends the watch and the connections, and waits for both.
func (s *Store) Close() error {
	s.cancel()
	s.running.Wait()
	s.pool.close()
	s.mirror.setCurrent(false)
	return nil
}

// open is nil while the store may be used.
func (s *Store) open() error {
	if s.ctx.Err() != nil {
		return dcs.ErrClosed
	}
	return nil
}
