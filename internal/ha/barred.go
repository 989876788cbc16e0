package ha

// barredPrimary reports that the server can be taking writes although the watchdog
// that is required does not work. One that the guard has frozen takes none, and
// cannot be stopped in order; it is judged when it is thawed.
func (o Observation) barredPrimary() bool {
	return o.Right.Barred && !o.Store.Settings.Pause && o.MayWrite() && !o.Server.Frozen &&
		o.Server.Directory == Data && o.Server.Unfinished == NoWork && !foreign(o)
}

// barredStandby gives the lead up that this member may not use (B-274). A promotion
// that has failed may still be carried out by the server, so it is stopped before
// another member can lead.
func barredStandby(o Observation) Plan {
	if o.Last.Work == Promoting {
		return do(Barred, Stop{Mode: Fast, For: ForDemotion})
	}
	return do(Barred, Release{})
}
