package etcd

import (
	"context"
	"fmt"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"matriarch/internal/dcs"
)

// Read fetches the prefix with a linearizable read.
func (s *Store) Read(ctx context.Context) (dcs.Snapshot, error) {
	if err := s.open(); err != nil {
		return dcs.Snapshot{}, err
	}
	err := s.read(ctx, func(ctx context.Context, e *endpoint) error {
		_, err := s.fetch(ctx, e)
		return err
	})
	if err != nil {
		return dcs.Snapshot{}, fmt.Errorf("read %s: %w", s.cfg.Prefix, plain(err))
	}
	snapshot, _ := s.mirror.snapshot()
	return snapshot, nil
}

// fetch reads the prefix from one member into the mirror and returns the
// revision of the read.
func (s *Store) fetch(ctx context.Context, e *endpoint) (int64, error) {
	resp, err := e.kv.Range(ctx, s.wholePrefix())
	if err != nil {
		return 0, err
	}
	incarnation, ok := s.guard.acceptRead(resp.Header)
	if !ok {
		return 0, errStale
	}
	s.mirror.install(incarnation, resp.Header.Revision, s.values(resp.Kvs))
	return resp.Header.Revision, nil
}

func (s *Store) wholePrefix() *pb.RangeRequest {
	return &pb.RangeRequest{Key: []byte(s.cfg.Prefix), RangeEnd: rangeEnd(s.cfg.Prefix)}
}

func (s *Store) values(kvs []*mvccpb.KeyValue) map[string]dcs.Value {
	values := make(map[string]dcs.Value, len(kvs))
	for _, kv := range kvs {
		values[s.relative(kv.Key)] = value(kv)
	}
	return values
}

func (s *Store) relative(key []byte) string {
	return strings.TrimPrefix(string(key), s.cfg.Prefix)
}

func (s *Store) absolute(key string) []byte { return []byte(s.cfg.Prefix + key) }

func value(kv *mvccpb.KeyValue) dcs.Value {
	return dcs.Value{Data: kv.Value, Created: kv.CreateRevision, Modified: kv.ModRevision, Lease: kv.Lease}
}
