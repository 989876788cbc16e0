package guard

import (
	"errors"
	"strconv"
)

// The record is what a leader's agent leaves here for its next life: bytes that
// mean nothing to the guard. It is in memory alone, for it is good for exactly as
// long as there is somebody who keeps to the deadline that belongs to it.
//
// It lives on when the agent dies, when the server is frozen or killed, and when it
// is armed or disarmed: the agent decides. It goes
//
//   - when the agent removes it;
//   - with the guard, that is, when neither a server nor an agent is left;
//   - when another server than that which it was kept for begins unarmed. That is
//     a standby, or something that somebody else started, and the record would make
//     the next agent a leader beside it. Should the agent still lead, it loses a
//     quick restart by this, and nothing else.

// RecordMax is the longest record, in bytes.
const RecordMax = 64 << 10

var errRecord = errors.New("the record is longer than " + strconv.Itoa(RecordMax) + " bytes")

// keep stores the record in place of the last one; without data it is removed.
func (g *guard) keep(m Message) error {
	var record []byte
	for _, f := range m.Fields {
		if f.Key == "data" && f.Value != "" {
			record = []byte(f.Value)
		}
	}
	if len(record) > RecordMax {
		return errRecord
	}
	g.record, g.recordFor = record, 0
	if g.server != nil {
		g.recordFor = g.server.pid
	}
	return nil
}

// dropRecord is called when a server begins. One that was adopted was running
// already, so that a record without a server may have been meant for it.
func (g *guard) dropRecord(verb string) {
	if g.record == nil || g.armed || verb == "adopt" && g.recordFor == 0 {
		return
	}
	g.record, g.recordFor = nil, 0
	g.log.say("the record of the server before is dropped: the new one may not be a primary")
}
