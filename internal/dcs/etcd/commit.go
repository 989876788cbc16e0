package etcd

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"matriarch/internal/dcs"
)

// Commit applies a transaction. It goes to one member; to another one only after
// proof that the first did not apply it.
func (s *Store) Commit(ctx context.Context, txn dcs.Txn) (int64, error) {
	if err := s.open(); err != nil {
		return 0, err
	}
	lease := s.Lease().ID
	for _, op := range txn.Then {
		if op.Leased && lease == 0 {
			return 0, fmt.Errorf("put %s: %w", op.Key, dcs.ErrNoLease)
		}
	}
	request := s.request(txn, lease)
	var answer *pb.TxnResponse
	err := s.write(ctx, func(ctx context.Context, e *endpoint) error {
		var err error
		answer, err = e.kv.Txn(ctx, request)
		return err
	})
	if is(err, rpctypes.ErrGRPCLeaseNotFound) {
		s.forget(lease)
		return 0, fmt.Errorf("commit %s: %w", describe(txn), dcs.ErrNoLease)
	}
	if err != nil {
		return 0, fmt.Errorf("commit %s: %w", describe(txn), plain(err))
	}
	return s.applied(txn, lease, answer)
}

// applied brings the mirror up to the answer.
func (s *Store) applied(txn dcs.Txn, lease int64, answer *pb.TxnResponse) (int64, error) {
	incarnation, known := s.guard.applied(answer.Header)
	if !known {
		// Applied or not, it was in a store that our cluster does not live in.
		return 0, fmt.Errorf("commit %s: %w", describe(txn), errStale)
	}
	revision := answer.Header.Revision
	if !answer.Succeeded {
		// The refusal carries the whole prefix: whoever lost a race sees at once
		// to whom.
		if len(answer.Responses) == 1 {
			if found := answer.Responses[0].GetResponseRange(); found != nil {
				s.mirror.install(incarnation, revision, s.values(found.Kvs))
			}
		}
		return 0, fmt.Errorf("commit %s: %w", describe(txn), dcs.ErrConflict)
	}
	s.mirror.wrote(incarnation, revision, changesOf(txn, lease, answer))
	return revision, nil
}

// changesOf is what a successful transaction did to the keys.
func changesOf(txn dcs.Txn, lease int64, answer *pb.TxnResponse) []change {
	revision := answer.Header.Revision
	changes := make([]change, 0, len(txn.Then))
	for i, op := range txn.Then {
		c := change{key: op.Key, modified: revision}
		if !op.Delete {
			v := dcs.Value{Data: op.Data, Created: revision, Modified: revision}
			if op.Leased {
				v.Lease = lease
			}
			if i < len(answer.Responses) {
				if before := answer.Responses[i].GetResponsePut().GetPrevKv(); before != nil {
					v.Created = before.CreateRevision
				}
			}
			c.value = &v
		}
		changes = append(changes, c)
	}
	return changes
}

func (s *Store) request(txn dcs.Txn, lease int64) *pb.TxnRequest {
	r := &pb.TxnRequest{
		Failure: []*pb.RequestOp{{Request: &pb.RequestOp_RequestRange{RequestRange: s.wholePrefix()}}},
	}
	for _, c := range txn.If {
		r.Compare = append(r.Compare, s.compare(c))
	}
	for _, op := range txn.Then {
		r.Success = append(r.Success, s.operation(op, lease))
	}
	return r
}

func (s *Store) compare(c dcs.Condition) *pb.Compare {
	compare := &pb.Compare{Key: s.absolute(c.Key), Result: pb.Compare_EQUAL}
	switch {
	case c.Absent:
		compare.Target = pb.Compare_CREATE
		compare.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: 0}
	case c.Equals != nil:
		compare.Target = pb.Compare_VALUE
		compare.TargetUnion = &pb.Compare_Value{Value: c.Equals}
	default:
		compare.Target = pb.Compare_MOD
		compare.TargetUnion = &pb.Compare_ModRevision{ModRevision: c.Modified}
	}
	return compare
}

func (s *Store) operation(op dcs.Op, lease int64) *pb.RequestOp {
	key := s.absolute(op.Key)
	if op.Delete {
		return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{
			RequestDeleteRange: &pb.DeleteRangeRequest{Key: key}}}
	}
	put := &pb.PutRequest{Key: key, Value: op.Data, PrevKv: true}
	if op.Leased {
		put.Lease = lease
	}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put}}
}

// describe names a transaction by its first write: "put leader".
func describe(txn dcs.Txn) string {
	if len(txn.Then) == 0 {
		return "nothing"
	}
	op := txn.Then[0]
	verb := "put "
	if op.Delete {
		verb = "delete "
	}
	return verb + op.Key
}
