package daemon

import (
	"context"
	"time"

	"matriarch/internal/dcs/embedded"
	"matriarch/internal/ha"
)

// etcdLeadTimeout bounds one hand-over of etcd's leadership, which is a round trip
// or two.
const etcdLeadTimeout = 3 * time.Second

// etcdLeadPause is the least time between two tries: a member that cannot keep the
// leadership must not take it from one that can all the time.
const etcdLeadPause = 5 * time.Second

// keepEtcdLead keeps the embedded etcd's leader on the node that leads the cluster.
// The loss of a standby's node then leaves the store at hand at once, and the loss
// of the leader's lets etcd's election run while the permit ends.
//
// Each pass of the agent is a chance to look, and one comes every loop_wait at
// least.
func (d *Daemon) keepEtcdLead(ctx context.Context, server *embedded.Server) {
	var tried time.Time
	for {
		changed := d.agent.Changed()
		o := d.agent.Latest().Observation
		settled := o.Right.Leading && o.Server.Role == ha.Primary && o.Job.Work == ha.NoWork && o.Store.Current
		if settled && !server.Leads() && (tried.IsZero() || d.clock.Now().Sub(tried) >= etcdLeadPause) {
			tried = d.clock.Now()
			d.takeEtcdLead(ctx, server)
		}
		select {
		case <-ctx.Done():
			return
		case <-server.Done():
			return
		case <-changed:
		}
	}
}

func (d *Daemon) takeEtcdLead(ctx context.Context, server *embedded.Server) {
	ctx, cancel := context.WithTimeout(ctx, etcdLeadTimeout)
	defer cancel()
	if err := server.Lead(ctx); err != nil {
		d.log.Warn("etcd's leader could not be moved to the primary's node; it will be tried again", "err", err)
		return
	}
	d.log.Info("etcd's leader is on the primary's node now")
}
