package agent

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	"matriarch/internal/ha"
)

// One action on the store may take storeTimeoutLeast, tries at other endpoints
// included, and after each one that was not answered in time twice as long, up to
// storeTimeoutMost. A store that has just lost its leader must not keep this pass
// from what clients wait for, and a slow one must not be given up.
const (
	storeTimeoutLeast = 400 * time.Millisecond
	storeTimeoutMost  = 3 * time.Second
)

// name is an action's name for logs.
func name(action ha.Action) string { return strings.TrimPrefix(fmt.Sprintf("%T", action), "ha.") }

// do carries out one action.
func (a *Agent) do(ctx context.Context, now time.Time, o ha.Observation, action ha.Action) error {
	switch act := action.(type) {
	case ha.Acquire:
		a.memory.raced = o.Store.View.Sync.Modified
		a.cfg.Right.Stand(o.Right.Key)
		return nil
	case ha.Release:
		a.release(now, o, act)
		return nil
	case ha.Renew:
		return a.renew(ctx, now, o)
	case ha.AskPeers:
		ask, cancel := a.limit(ctx, act.Within)
		defer cancel()
		a.memory.peers = ha.Peers{Asked: true, Mine: o.Server.End, Answers: a.memory.withSilent(now, o.Store.View.Revision, a.cfg.Peers.Ask(ask, act.Members))}
		a.memory.peersAt, a.memory.peersDone = now, a.cfg.Now()
		return nil
	case ha.AskFailsafe:
		a.askFailsafe(now, o, act)
		return nil
	case ha.ReadLog:
		read, cancel := a.limit(ctx, serverTimeout)
		defer cancel()
		a.memory.log = a.cfg.Server.ReadLog(read, act.From)
		a.memory.logAt = a.cfg.Now()
		return nil
	case ha.Quit:
		if act.Fault != "" {
			return &Quit{Why: act.Fault}
		}
		return errEnded
	case ha.ApplyConfig:
		return a.applyConfig(ctx, act)
	case ha.Bootstrap, ha.BaseBackup, ha.Rewind, ha.StartPrimary, ha.StartStandby, ha.PrePromote, ha.Promote, ha.Stop, ha.CopySlots:
		if _, promotes := action.(ha.Promote); promotes {
			a.forgetFailsafe() // B-279
		}
		a.log.Info("beginning "+name(action), "leader", o.Store.View.Leader.Name, "timeline", o.Server.End.Timeline)
		return a.cfg.Server.Begin(action)
	case ha.KillServer:
		a.cfg.Server.Kill()
		return nil
	case ha.CancelJob:
		a.cfg.Server.Cancel(act.For)
		return nil
	case ha.Checkpoint:
		a.cfg.Server.Checkpoint()
		return nil
	case ha.ProveSlots:
		a.cfg.Server.ProveSlots(act)
		return nil
	case ha.MakeSegment:
		a.cfg.Server.MakeSegment(act.After)
		return nil
	}
	if a.doOrder(now, o, action) {
		return nil
	}
	if done, err := a.doServer(ctx, action); done {
		return err
	}
	return a.doStore(ctx, now, o, action)
}

// doServer carries out the small operations on the server. Most actions are none of
// them: no limit is set for those.
func (a *Agent) doServer(ctx context.Context, action ha.Action) (bool, error) {
	switch action.(type) {
	case ha.Follow, ha.CreateSlot, ha.DropSlot, ha.AdvanceSlot, ha.SetStandbyNames, ha.MoveAside:
	default:
		return false, nil
	}
	ctx, cancel := a.limit(ctx, serverTimeout)
	defer cancel()
	switch act := action.(type) {
	case ha.Follow:
		return true, a.cfg.Server.Follow(ctx, act.Upstream)
	case ha.CreateSlot:
		return true, a.slot(action, a.cfg.Server.CreateSlot(ctx, act))
	case ha.DropSlot:
		return true, a.slot(action, a.cfg.Server.DropSlot(ctx, act.Name))
	case ha.AdvanceSlot:
		return true, a.slot(action, a.cfg.Server.AdvanceSlot(ctx, act))
	case ha.SetStandbyNames:
		return true, a.cfg.Server.SetStandbyNames(ctx, act)
	}
	return true, a.cfg.Server.MoveAside(ctx)
}

// slot logs what became of an operation on a slot and lets the pass go on: a slot
// that cannot be made, for example since max_replication_slots is reached, must
// not keep the member key from being published. The next pass tries it again.
func (a *Agent) slot(action ha.Action, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return err // the server hangs: the rest of the pass would as well
	}
	if made, ok := action.(ha.CreateSlot); ok && err == nil {
		a.memory.slots.made(made.Name)
	}
	if err != nil && a.memory.slots.newFault(err.Error()) {
		a.log.Warn("a replication slot is not in order; it will be tried again", "action", name(action), "err", err)
	}
	return nil
}

// patience is how long this pass may wait for the store. A primary without a guard
// must be looked at when its permit ends, and a pass that waits does not look (S1).
func (a *Agent) patience(o ha.Observation) time.Duration {
	if p := o.Patience(); p > 0 {
		return min(p, a.memory.patience())
	}
	return a.memory.patience()
}

// answered keeps count of the store's silences.
func (a *Agent) answered(err error) {
	switch {
	case err == nil, errors.Is(err, dcs.ErrConflict), errors.Is(err, dcs.ErrNoLease):
		a.memory.silences = 0
	case errors.Is(err, errUrgent): // it might have been answered in time
	default:
		a.memory.silences++
	}
}

func (a *Agent) renew(ctx context.Context, now time.Time, o ha.Observation) error {
	a.memory.renewTried = now
	ctx, cancel := a.storeCall(ctx, a.patience(o))
	defer cancel()
	_, fresh, err := a.cfg.Store.Renew(ctx, o.Store.Settings.TTL)
	err = brokenOff(ctx, err)
	a.answered(err)
	if err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	if fresh {
		a.memory.memberPut = time.Time{} // the key under the old lease goes with it
	}
	a.cfg.Right.See() // the leader key moves to a new lease
	return nil
}

// release gives the lead up. The last position is left behind with the slots and
// what is retained as they were.
func (a *Agent) release(now time.Time, o ha.Observation, act ha.Release) {
	var also []dcs.Op
	if act.Optime > 0 {
		status := o.Store.View.Status
		status.Optime = act.Optime
		also = putStatus(o.Store.View, status)
	}
	a.memory.released = now
	a.cfg.Right.Release(also)
}

// applyConfig gives a configuration to the server. One that the server's files
// refuse is not tried again until it changes: nothing in the store may keep the
// pass from going on.
func (a *Agent) applyConfig(ctx context.Context, act ha.ApplyConfig) error {
	ctx, cancel := a.limit(ctx, 2*serverTimeout)
	defer cancel()
	a.memory.applied = act.Modified
	if err := a.cfg.Server.Configure(ctx, act.Document); err != nil {
		a.log.Error("the dynamic configuration could not be applied to the server", "err", err)
	}
	return nil
}

// doStore carries out one conditional transaction.
func (a *Agent) doStore(ctx context.Context, now time.Time, o ha.Observation, action ha.Action) error {
	ctx, cancel := a.storeCall(ctx, a.patience(o))
	defer cancel()
	txn := transaction(o, action)
	_, err := a.cfg.Store.Commit(ctx, txn)
	err = brokenOff(ctx, err)
	a.answered(err)
	if act, puts := action.(ha.PutSync); puts {
		a.memory.doubt.written(act.Sync.Modified, err)
	}
	if err != nil {
		return fmt.Errorf("write %s to the store: %w", txn.Then[0].Key, err)
	}
	switch action.(type) {
	case ha.PutMember:
		a.memory.memberPut = now
	case ha.PutStatus:
		a.memory.statusPut = now
	}
	return nil
}

// transaction is the write that an action stands for, with the condition that
// makes it safe (compat/dcs.md §2; B-161). The leader key itself is package
// permit's.
func transaction(o ha.Observation, action ha.Action) dcs.Txn {
	mine := []dcs.Condition{{Key: dcs.KeyLeader, Equals: []byte(o.Me.Name)}}
	switch act := action.(type) {
	case ha.PutMember:
		return dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyMembers + o.Me.Name, Data: act.Member.Encode(), Leased: true}}}
	case ha.PutStatus:
		return dcs.Txn{If: mine, Then: putStatus(o.Store.View, act.Status)}
	case ha.PutHistory:
		return dcs.Txn{If: mine, Then: []dcs.Op{put(dcs.KeyHistory, act.History.Encode())}}
	case ha.PutFailsafe:
		return dcs.Txn{If: mine, Then: []dcs.Op{put(dcs.KeyFailsafe, []byte(act.Data))}}
	case ha.PutConfig:
		return dcs.Txn{If: mine, Then: []dcs.Op{put(dcs.KeyConfig, cluster.EncodeJSON(act.Document))}}
	case ha.PutSync:
		return dcs.Txn{If: append(mine, unchanged(dcs.KeySync, act.Sync.Modified)...), Then: []dcs.Op{put(dcs.KeySync, act.Sync.Encode())}}
	case ha.DropSync:
		return dcs.Txn{If: append(mine, unchanged(dcs.KeySync, act.Modified)...), Then: []dcs.Op{{Key: dcs.KeySync, Delete: true}}}
	case ha.ClearFailover:
		return dcs.Txn{If: unchanged(dcs.KeyFailover, act.Modified), Then: []dcs.Op{put(dcs.KeyFailover, cluster.Failover{}.Encode())}}
	case ha.RaceInitialize:
		return dcs.Txn{If: unchanged(dcs.KeyInitialize, 0), Then: []dcs.Op{{Key: dcs.KeyInitialize, Data: []byte{}, Leased: true}}}
	case ha.AdoptInitialize:
		return dcs.Txn{If: unchanged(dcs.KeyInitialize, act.Modified), Then: []dcs.Op{put(dcs.KeyInitialize, []byte(act.SystemID))}}
	case ha.Unfound:
		return dcs.Txn{If: unchanged(dcs.KeyInitialize, act.Modified), Then: []dcs.Op{{Key: dcs.KeyInitialize, Delete: true}}}
	case ha.Found:
		ops := []dcs.Op{put(dcs.KeyInitialize, []byte(act.SystemID))}
		if !o.Store.View.Config.Valid && len(o.Store.Dynamic) > 0 {
			document := cluster.Adjusted(dynamicCopy(o.Store.Dynamic), o.Store.Settings)
			ops = append(ops, put(dcs.KeyConfig, cluster.EncodeJSON(document)))
		}
		conditions := append(unchanged(dcs.KeyInitialize, act.Modified), dcs.Condition{Key: dcs.KeyLeader, Absent: true})
		return dcs.Txn{If: conditions, Then: ops}
	}
	panic(fmt.Sprintf("no transaction for %T", action))
}

// putStatus is the status key, and beside it the position alone as long as a member
// is older than that key and reads nothing else (compat/dcs.md §9).
func putStatus(v cluster.View, status cluster.Status) []dcs.Op {
	ops := []dcs.Op{put(dcs.KeyStatus, status.Encode())}
	if v.HasMemberBefore([3]int{2, 1, 0}) {
		ops = append(ops, put(dcs.KeyOptime, strconv.AppendUint(nil, uint64(status.Optime), 10)))
	}
	return ops
}

func put(key string, data []byte) dcs.Op { return dcs.Op{Key: key, Data: data} }

// unchanged is the condition that a key is still as it was seen; revision 0 means
// absent.
func unchanged(key string, modified int64) []dcs.Condition {
	return []dcs.Condition{{Key: key, Absent: modified == 0, Modified: modified}}
}
