package ha

// A node that was cut off from the store and comes back hears of its successor by one
// member of the store before there is a majority that it could ask (dcs/etcd). What that
// member tells was agreed, only perhaps not all of it: there may be a newer leader still.
// So it proves that this node's own term is over (P7), and is enough to end what may still
// write (S1) and to begin the way back. Nothing is removed by it (S4), nothing written to
// the store, and no lead taken.
//
// The way back is safe by itself: a source has to run as a primary, whoever has been
// succeeded stands still or is one no more, and what it gave is compared with the leader's
// log again, by whatever is known then (S3).

// succeeded reports that another member has led since the store was last seen to be
// current, and that this is all that is known.
func (o *Observation) succeeded() bool {
	return !o.Store.Current && o.Store.Later && !o.Right.Leading && o.ledByAnother()
}

// comeBack goes as far as one member's word carries. For the rest the store is away.
func comeBack(o Observation) Plan {
	if o.Store.Settings.Pause || o.Store.Settings.StandbyCluster || foreign(o) || o.Server.Directory != Data || o.Server.Unfinished != NoWork {
		return away(o)
	}
	var plan Plan
	if o.Server.Running {
		plan = follow(o)
	} else {
		plan = rejoin(o)
	}
	for _, action := range plan.Do {
		switch act := action.(type) {
		case ReadLog, Rewind, StartStandby, Follow:
		case Stop:
			if act.For != ForRepair || !o.Me.UseRewind || !o.Server.CanRewind || o.Memory.RewindLost {
				return away(o) // it would be down until the store is back
			}
		default:
			return away(o)
		}
	}
	if len(plan.Do) == 0 && o.demotedOffline() {
		return away(o) // readers need not wait for a leader that does not answer
	}
	return plan
}
