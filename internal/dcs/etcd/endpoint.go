package etcd

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
)

// endpoint is the connection to one etcd member.
//
// The official client makes it, but requests go out by the raw API beneath:
// clientv3's calls wait for a lost connection to come back instead of failing,
// and its watcher silently starts anew, while we must know at once.
type endpoint struct {
	url    string
	client *clientv3.Client

	kv      pb.KVClient
	lease   pb.LeaseClient
	watch   pb.WatchClient
	auth    pb.AuthClient
	members pb.ClusterClient

	mu   sync.Mutex
	late int // requests that have waited for longer than lateAfter
}

// lateAfter is more than an answer takes: some milliseconds, with the disk's.
const lateAfter = 50 * time.Millisecond

// asked is called when a request is made, and what it returns when that has ended.
func (e *endpoint) asked() (ended func()) {
	add := func(n int) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.late += n
	}
	late := time.AfterFunc(lateAfter, func() { add(1) })
	return func() {
		if !late.Stop() {
			add(-1)
		}
	}
}

// waiting is how many requests it has left without an answer for a while.
func (e *endpoint) waiting() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.late
}

// newEndpoint prepares the connection and returns without waiting for it.
func newEndpoint(url string, conf *tls.Config, dialTimeout time.Duration) (*endpoint, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:       []string{url},
		TLS:             conf,
		Logger:          zap.NewNop(),
		MaxUnaryRetries: 1, // we repeat ourselves, at another member
		DialOptions: []grpc.DialOption{
			// Etcd bounds what a request may be, not an answer, and gRPC's own bound of
			// 4 MiB is less than a few keys that somebody has filled by mistake.
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
			grpc.WithContextDialer(newDialing(dialTimeout).connect),
			grpc.WithConnectParams(grpc.ConnectParams{
				// gRPC's default backs off up to two minutes, and a member that
				// comes back would stay unused that long.
				Backoff: backoff.Config{
					BaseDelay:  50 * time.Millisecond,
					Multiplier: 1.6,
					Jitter:     0.2,
					MaxDelay:   longestPause,
				},
				MinConnectTimeout: dialTimeout,
			}),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to etcd at %s: %w", url, err)
	}
	conn := client.ActiveConnection()
	return &endpoint{
		url:     url,
		client:  client,
		kv:      pb.NewKVClient(conn),
		lease:   pb.NewLeaseClient(conn),
		watch:   pb.NewWatchClient(conn),
		auth:    pb.NewAuthClient(conn),
		members: pb.NewClusterClient(conn),
	}, nil
}

// connected waits until the connection stands. An error is proof that a request
// not yet made was not sent.
func (e *endpoint) connected(ctx context.Context) error {
	conn := e.client.ActiveConnection()
	for {
		state := conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.Idle:
			conn.Connect()
		case connectivity.TransientFailure, connectivity.Shutdown:
			return errNotConnected
		}
		if !conn.WaitForStateChange(ctx, state) {
			return fmt.Errorf("%w in time", errNotConnected)
		}
	}
}

func (e *endpoint) close() {
	_ = e.client.Close() // reports its own context's cancellation
}
