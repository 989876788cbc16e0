package embedded

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// Server is a running member.
type Server struct {
	cfg     Config
	etcd    *embed.Etcd
	streams context.CancelFunc // ends the clients' watches and keep-alives
	tended  chan struct{}      // closed when nobody looks after the connections any more

	stop     sync.Once
	stopping *atomic.Bool
	stopped  chan struct{}
}

// Start starts the member and returns as soon as it runs. It answers clients
// only when a majority of the members does: see Ready.
//
// A member whose data was lost while the others went on is first exchanged for
// a new one. That needs a majority of the others; Start waits for it as long as
// ctx lasts.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg, err := cfg.prepared()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory of embedded etcd: %w", err)
	}
	stopping := new(atomic.Bool)
	ec, err := cfg.etcd(stopping)
	if err != nil {
		return nil, err
	}
	if !cfg.hasData() {
		if err := cfg.join(ctx, ec); err != nil {
			return nil, err
		}
	}
	streams, cancel := context.WithCancel(context.Background())
	ec.GRPCAdditionalServerOptions = []grpc.ServerOption{grpc.ChainStreamInterceptor(ending(streams))}
	etcd, err := embed.StartEtcd(ec)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start embedded etcd in %s: %w", cfg.DataDir, err)
	}
	s := &Server{cfg: cfg, etcd: etcd, streams: cancel, tended: make(chan struct{}), stopping: stopping, stopped: make(chan struct{})}
	go func() {
		defer close(s.tended)
		cfg.tend(streams)
	}()
	return s, nil
}

// ending makes every stream end with ctx: a watch has no end of its own, and
// etcd's shutdown would wait for it for 5 s and more.
func ending(ctx context.Context) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		own, cancel := context.WithCancel(stream.Context())
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		return handle(srv, &endingStream{ServerStream: stream, ctx: own})
	}
}

type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *endingStream) Context() context.Context { return s.ctx }

// Ready is closed when the member has joined a majority and answers clients.
func (s *Server) Ready() <-chan struct{} { return s.etcd.Server.ReadyNotify() }

// Done is closed when the member has ended, by Stop or by itself, as when it was
// removed from the cluster.
func (s *Server) Done() <-chan struct{} { return s.etcd.Server.StopNotify() }

// Leads tells whether this member is raft's leader.
func (s *Server) Leads() bool { return s.etcd.Server.Leader() == s.etcd.Server.MemberID() }

// Lead asks raft's leader to hand over to this member. The store's leader is best
// kept where the cluster's leader is: the loss of another node then costs the
// store no election.
func (s *Server) Lead(ctx context.Context) error {
	if s.Leads() {
		return nil
	}
	leader := s.etcd.Server.Cluster().Member(s.etcd.Server.Leader())
	if leader == nil || len(leader.ClientURLs) == 0 {
		return fmt.Errorf("move etcd's leader to %s: there is no leader to ask", s.cfg.Name)
	}
	client, err := s.cfg.client(leader.ClientURLs)
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.MoveLeader(ctx, uint64(s.etcd.Server.MemberID())); err != nil {
		return fmt.Errorf("move etcd's leader from %s to %s: %w", leader.Name, s.cfg.Name, err)
	}
	return nil
}

// Stop ends the member: it hands raft's leadership on, ends its clients' streams,
// and closes its files. An error means that it was still at it when ctx ended.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		s.stopping.Store(true)
		s.streams()
		go func() {
			defer close(s.stopped)
			defer func() { <-s.tended }()
			// Before Close: that waits for a server which never became ready.
			s.etcd.Server.Stop()
			s.etcd.Close()
		}()
	})
	select {
	case <-s.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop embedded etcd: %w", ctx.Err())
	}
}

// client makes a client of the given members. Calls need a deadline.
func (c Config) client(urls []string) (*clientv3.Client, error) {
	conf := clientv3.Config{Endpoints: urls, Logger: zap.NewNop(), DialTimeout: time.Second}
	if c.ClientTLS.Cert != "" {
		info := c.ClientTLS.info()
		t, err := info.ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("read the certificate of embedded etcd: %w", err)
		}
		conf.TLS = t
	}
	client, err := clientv3.New(conf)
	if err != nil {
		return nil, fmt.Errorf("connect to the members of embedded etcd: %w", err)
	}
	return client, nil
}
