package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the restapi section of the configuration, and what the process
// itself knows.
type Options struct {
	Listen string // host:port; an empty host or * is every address
	Access Access
	TLS    TLSFiles

	// ServerTokens chooses the Server header: original, minimal or productonly,
	// in any case.
	ServerTokens string
	Headers      map[string]string // on every JSON or text answer
	HTTPSHeaders map[string]string // over Headers while TLS is on

	// Heartbeats takes over the connections on which leaders send heartbeats, once
	// the rules of Access have let them in. Its owner ends it after Run. Nil: there
	// is none.
	Heartbeats http.Handler

	Version string           // X.Y.Z as published in the member key
	Product string           // Server header under original
	Now     func() time.Time // the clock of Picture.LeaderUntil; nil: time.Now
	Wall    func() time.Time // the calendar, for what is scheduled; nil: time.Now
	Log     *slog.Logger
}

// The limits on clients. A client that is slower is cut off: a health check that
// comes late is worth nothing, and a hundred stuck clients must not matter.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 15 * time.Second
	idleTimeout   = 30 * time.Second
	stopTimeout   = 2 * time.Second // for requests under way when the node stops
	headerBytes   = 64 << 10
	bodyBytes     = 1 << 20
)

// Server serves the API of one node. Listen, then Run; Reload at any time.
type Server struct {
	node  Node
	peers Peers
	log   *slog.Logger
	now   func() time.Time
	wall  func() time.Time
	set   atomic.Pointer[settings]

	recalled recalled

	mu       sync.Mutex // guards the fields below
	listener net.Listener
	bound    string // the Listen option and whether TLS is on
}

// settings are what a reload replaces as a whole.
type settings struct {
	Options
	gate        gate
	certificate *tls.Config // nil: plain HTTP
}

// New checks the options and reads the certificates. It opens nothing.
func New(ctx context.Context, o Options, node Node, peers Peers) (*Server, error) {
	s := &Server{node: node, peers: peers, log: o.Log, now: o.Now, wall: o.Wall}
	if s.now == nil {
		s.now = time.Now
	}
	if s.wall == nil {
		s.wall = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	set, err := s.read(ctx, o)
	if err != nil {
		return nil, err
	}
	s.set.Store(set)
	return s, nil
}

func (s *Server) read(ctx context.Context, o Options) (*settings, error) {
	certificate, err := o.TLS.load()
	if err != nil {
		return nil, err
	}
	gate, faults := newGate(ctx, o.Access, certificate)
	for _, fault := range faults {
		s.log.Warn("a rule of restapi.allowlist is left out", "err", fault)
	}
	return &settings{Options: o, gate: gate, certificate: certificate}, nil
}

// Listen binds the address, so that a port in use is an error before anything
// else of the node has started.
func (s *Server) Listen(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bind(ctx)
}

func (s *Server) bind(ctx context.Context) error {
	set := s.set.Load()
	l, err := listen(ctx, set.Listen)
	if err != nil {
		return err
	}
	if set.certificate != nil {
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return s.set.Load().certificate, nil // as of the last reload
		}})
	} else {
		l = hostless{l}
	}
	s.listener, s.bound = l, set.place()
	return nil
}

func listen(ctx context.Context, option string) (net.Listener, error) {
	address := option
	if rest, ok := strings.CutPrefix(address, "*:"); ok {
		address = ":" + rest
	}
	l, err := (&net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 3 * time.Second, Interval: 3 * time.Second, Count: 3,
	}}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on restapi.listen %s: %w", option, err)
	}
	return l, nil
}

// Vacant is nil if nobody listens where a Server with that Listen option would.
func Vacant(ctx context.Context, option string) error {
	l, err := listen(ctx, option)
	if err != nil {
		return err
	}
	return l.Close()
}

// place changes when the listener has to be opened anew.
func (o *settings) place() string { return fmt.Sprint(o.Listen, " ", o.certificate != nil) }

// Address is where the server listens, or nil before Listen.
func (s *Server) Address() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Run serves until ctx ends. Then new connections are refused at once, waiting
// requests end, and it returns.
func (s *Server) Run(ctx context.Context) error {
	requests, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes, DisableGeneralOptionsHandler: true,
		BaseContext:  func(net.Listener) context.Context { return requests },
		ErrorLog:     log.New(io.Discard, "", 0), // what clients do wrong is not ours to log
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	failed := make(chan error, 1)
	for {
		s.mu.Lock()
		l := s.listener
		s.mu.Unlock()
		if l == nil {
			return errors.New("run the REST API: it does not listen")
		}
		go func() { failed <- server.Serve(l) }()
		select {
		case <-ctx.Done():
			return s.stop(server, failed)
		case err := <-failed:
			if s.replaced(l) { // a reload closed this listener and opened another
				continue
			}
			return fmt.Errorf("serve the REST API on %s: %w", l.Addr(), err)
		}
	}
}

func (s *Server) replaced(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listener != l
}

func (s *Server) stop(server *http.Server, served <-chan error) error {
	// The parent context has ended; what is left gets a moment of its own.
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if err != nil {
		err = server.Close()
	}
	<-served
	return err
}

// Reload puts new options in force: access rules, headers, certificates, and a
// new listener where the address or TLS changed. On error the old ones stay.
func (s *Server) Reload(ctx context.Context, o Options) error {
	set, err := s.read(ctx, o)
	if err != nil {
		return fmt.Errorf("reload the REST API: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.set.Swap(set)
	if s.listener == nil || set.place() == s.bound {
		return nil
	}
	// The old one goes first: the new address may overlap it.
	_ = s.listener.Close()
	if err = s.bind(ctx); err == nil {
		return nil
	}
	s.set.Store(old)
	return fmt.Errorf("reload the REST API: %w", errors.Join(err, s.bind(ctx)))
}
