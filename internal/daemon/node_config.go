package daemon

import (
	"context"
	"errors"
	"fmt"

	"matriarch/internal/api"
	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
)

// SwapConfig replaces the dynamic configuration if it is the one that was seen. Every
// agent sees the new one by its watch.
func (n *node) SwapConfig(ctx context.Context, modified int64, document map[string]any) error {
	_, err := n.store.Commit(ctx, dcs.Txn{
		If:   []dcs.Condition{{Key: dcs.KeyConfig, Absent: modified == 0, Modified: modified}},
		Then: []dcs.Op{{Key: dcs.KeyConfig, Data: cluster.EncodeJSON(document)}},
	})
	return asConflict(err)
}

// PutConfig replaces the dynamic configuration.
func (n *node) PutConfig(ctx context.Context, document map[string]any) error {
	_, err := n.store.Commit(ctx, dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyConfig, Data: cluster.EncodeJSON(document)}}})
	return err
}

// asConflict translates the store's No into that of the API.
func asConflict(err error) error {
	if errors.Is(err, dcs.ErrConflict) {
		return fmt.Errorf("%w: %w", api.ErrConflict, err)
	}
	return err
}

var _ api.Configurer = (*node)(nil)
