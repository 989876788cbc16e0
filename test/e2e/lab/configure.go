package lab

import (
	"context"
	"encoding/json"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Configure changes the dynamic configuration in the store.
func (c *Cluster) Configure(change func(Settings)) {
	c.t.Helper()
	Eventually(c.t, Patience, "the dynamic configuration is changed", func(ctx context.Context) (bool, string) {
		got, err := c.store.Get(ctx, c.Prefix()+"config")
		if err != nil || len(got.Kvs) == 0 {
			return false, fmt.Sprintf("%v %v", got, err)
		}
		var s Settings
		if err := json.Unmarshal(got.Kvs[0].Value, &s); err != nil {
			return false, err.Error()
		}
		change(s)
		text, err := json.Marshal(s)
		if err != nil {
			return false, err.Error()
		}
		done, err := c.store.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(c.Prefix()+"config"), "=", got.Kvs[0].ModRevision)).
			Then(clientv3.OpPut(c.Prefix()+"config", string(text))).Commit()
		return err == nil && done.Succeeded, fmt.Sprint(err)
	})
}
