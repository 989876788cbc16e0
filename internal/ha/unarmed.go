package ha

// While the cluster is paused guards are disarmed, and an agent that ends then leaves its
// server running (B-507). When the pause is over another member would take the lead after
// the quiet period, and count on the end of a permit that nothing keeps that server to. So
// the electorate tells of it, from before the guard is disarmed until it is armed again;
// and meanwhile nobody takes over from that leader but by a person's word (S1).

// Held reports that the guard keeps the server to the permit. In a pause it is let go when
// the electorate says so, and not before.
func (o *Observation) Held() bool {
	if !o.MayWrite() {
		return false
	}
	own := o.Right.Leading || o.Right.LedLast
	return !o.HandsOff() || o.Server.Armed && !(o.Right.Unarmed && own)
}

// Unarmed reports that the electorate of this node's lead has to say so. Where no guard
// can be started at all there is none to wait for: such a server is as Patroni's.
func (o *Observation) Unarmed() bool {
	if o.Store.Settings.Pause {
		return true
	}
	return o.Right.Unarmed && o.MayWrite() && !o.Server.Armed && o.Right.Guarded
}

// unstopped reports that another member led last, and that nothing may stop its server.
func (o *Observation) unstopped() bool {
	return o.Right.Unarmed && !o.Right.Leading && !o.Right.LedLast
}
