package permit

import "matriarch/internal/boottime"

// Omission is a part of the rules P1 to P9 that can be left out, to prove that
// somebody notices. Nothing but the simulator's proof does so.
type Omission struct {
	Name string
	omit rule
}

// Omissions are the parts that can be left out, one or two rules at a time: where two
// cover the same case, both are.
var Omissions = []Omission{
	{"P1: the permit counts from the answer", countFromSend},
	{"P2: a restarted agent does not wait", startIsQuiet},
	{"P2: an acknowledgement does not begin the wait anew", ackIsQuiet | promiseHolds},
	{"P2: a change of the key does not begin the wait anew", changeIsQuiet},
	{"P3: transactions without an answer are forgotten", mayStillApply | promiseHolds},
	{"P4: a candidate acknowledges while its takeover may be applied", noAckWhileTaking | promiseHolds},
	{"P5: puts do not compare the revision", compareRevision},
	{"P5: a member is added to the key before it has to acknowledge", demandThenPut},
	{"P5: a member need not acknowledge while it is being removed", putThenRelease},
	{"P6: whoever is not in the electorate races too", onlyElectorate},
	{"P6: peers count though anyone may race", aloneByStore},
	{"P7: old terms are acknowledged", newestTermOnly},
	{"P8: a new leader demands nothing of who never answered", demandWhole},
	{"P9: a longer permit is used before all have acknowledged it", longerWhenAcked | longerWhenPut},
	{"P9: a candidate forgets the longer wait", waitLongest | promiseHolds},
}

// NewDriver is a driver without that part of the rules.
func (m Omission) NewDriver(o Options, now boottime.Instant) *Driver {
	d := NewDriver(o, now)
	d.node = newNode(o.Me, o.Length, o.Term, now, omitted{m.omit})
	return d
}
