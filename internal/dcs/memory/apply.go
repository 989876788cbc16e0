package memory

import (
	"bytes"
	"fmt"
	"maps"

	"matriarch/internal/dcs"
)

// Apply carries out a transaction on a snapshot as etcd does, and returns what the
// store holds then: the same snapshot when nothing was written. leaseID is the
// writer's lease, leased whether the store knows it. The simulator's store goes by it
// as well, so that the contract which holds this one holds that one.
func Apply(s dcs.Snapshot, txn dcs.Txn, leaseID int64, leased bool) (dcs.Snapshot, error) {
	for i, op := range txn.Then {
		for _, other := range txn.Then[:i] {
			if other.Key == op.Key {
				return s, fmt.Errorf("commit: key %s is written twice in one transaction", op.Key)
			}
		}
	}
	for _, condition := range txn.If {
		if !holds(s.Values[condition.Key], condition) {
			return s, fmt.Errorf("condition on %s: %w", condition.Key, dcs.ErrConflict)
		}
	}
	for _, op := range txn.Then {
		if op.Leased && !leased {
			return s, fmt.Errorf("put %s: %w", op.Key, dcs.ErrNoLease)
		}
	}
	values, next, wrote := maps.Clone(s.Values), s.Revision+1, false
	if values == nil {
		values = map[string]dcs.Value{}
	}
	for _, op := range txn.Then {
		before, there := values[op.Key]
		if op.Delete {
			delete(values, op.Key)
			wrote = wrote || there
			continue
		}
		v := dcs.Value{Data: bytes.Clone(op.Data), Created: next, Modified: next}
		if there {
			v.Created = before.Created
		}
		if op.Leased {
			v.Lease = leaseID
		}
		values[op.Key] = v
		wrote = true
	}
	if !wrote {
		return s, nil
	}
	return dcs.Snapshot{Revision: next, Values: values}, nil
}

// holds compares as etcd does. A key that is absent has revision 0.
func holds(v dcs.Value, condition dcs.Condition) bool {
	switch {
	case condition.Absent:
		return v.Modified == 0
	case condition.Equals != nil:
		return v.Modified != 0 && bytes.Equal(v.Data, condition.Equals)
	default:
		return v.Modified == condition.Modified
	}
}
