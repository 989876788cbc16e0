package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"matriarch/internal/permit"
)

// goodbye is the line before a connection that its owner does not need any more
// is closed. Without it, the end of a connection is evidence that its owner died.
const goodbye = "bye\n"

var errGarbage = errors.New("the line is no message of " + Protocol)

// parseHeartbeat reads a line from a leader, with or without its end. bye: the
// connection will end, and that says nothing of the leader.
func parseHeartbeat(line []byte) (hb permit.Heartbeat, bye bool, err error) {
	line = bytes.TrimRight(line, "\r\n")
	if string(line) == goodbye[:len(goodbye)-1] {
		return permit.Heartbeat{}, true, nil
	}
	if err := json.Unmarshal(line, &hb); err != nil {
		return permit.Heartbeat{}, false, errGarbage // json's own words would quote the line
	}
	if hb.Leader == "" || hb.Term <= 0 || hb.Permit <= 0 {
		return permit.Heartbeat{}, false, fmt.Errorf("%w: a heartbeat without leader, term or permit", errGarbage)
	}
	return hb, false, nil
}

// parseAck reads a line from a member.
func parseAck(line []byte) (ack permit.Ack, err error) {
	if err := json.Unmarshal(bytes.TrimRight(line, "\r\n"), &ack); err != nil {
		return permit.Ack{}, errGarbage
	}
	if ack.Member == "" {
		return permit.Ack{}, fmt.Errorf("%w: an acknowledgement of nobody", errGarbage)
	}
	return ack, nil
}

// lineWriter makes lines in one buffer, which is good until the next line.
type lineWriter struct {
	buffer  bytes.Buffer
	encoder *json.Encoder
}

func newLineWriter() *lineWriter {
	w := &lineWriter{}
	w.encoder = json.NewEncoder(&w.buffer)
	return w
}

func (w *lineWriter) line(message any) ([]byte, error) {
	w.buffer.Reset()
	if err := w.encoder.Encode(message); err != nil {
		return nil, fmt.Errorf("encode a message of %s: %w", Protocol, err)
	}
	return w.buffer.Bytes(), nil
}
