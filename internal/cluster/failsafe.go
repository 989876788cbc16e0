package cluster

import (
	"encoding/json"
	"fmt"
	"maps"

	"matriarch/internal/wal"
)

// parseFailsafe reads the failsafe key. An address that is no text is kept as an
// empty one: the member is listed, and nobody can ask it.
func parseFailsafe(e Entry, faults *[]string) map[string]string {
	if len(e.Data) == 0 {
		return nil
	}
	f, err := object(e.Data)
	if err != nil {
		*faults = append(*faults, "failsafe is not a JSON object of addresses")
		return nil
	}
	m := make(map[string]string, len(f))
	for name := range f {
		m[name] = f.text(name)
	}
	return m
}

// FailsafeMap is what the leader has to keep in the failsafe key: every member
// that can be asked, and itself (B-541).
func FailsafeMap(members []Member, leader, apiURL string) map[string]string {
	m := map[string]string{}
	for _, member := range members {
		if member.APIURL != "" {
			m[member.Name] = member.APIURL
		}
	}
	m[leader] = apiURL
	return m
}

// FailsafeWrite is the value that the leader has to put into the failsafe key
// with its next refresh; due is false when the mode is off or the key says so
// already.
func (v View) FailsafeWrite(s Settings, leader, apiURL string) (data []byte, due bool) {
	if !s.Failsafe {
		return nil, false
	}
	m := FailsafeMap(v.Members, leader, apiURL)
	if maps.Equal(m, v.Failsafe) {
		return nil, false
	}
	return EncodeJSON(m), true
}

// FailsafeApplies reports that a failsafe round is the thing to do: a primary of a
// cluster in failsafe mode, not paused, has no answer from the store (B-540,
// B-090). Silent means no answer: an answer that the key is lost is one, and
// demotes whatever the members say (B-553).
func FailsafeApplies(s Settings, primary, silent bool) bool {
	return s.Failsafe && !s.Pause && primary && silent
}

// FailsafeOthers are those who must all accept that this member stays leader, by
// the map that was read or written last. Without a map, or when this member is
// not in it, nobody needs to be asked: the answer is no. With nobody else in it
// the answer is yes (B-542, B-543).
func FailsafeOthers(m map[string]string, me string) (others map[string]string, ok bool) {
	if _, listed := m[me]; !listed {
		return nil, false
	}
	others = maps.Clone(m)
	delete(others, me)
	return others, true
}

// FailsafeAnswer is one member's answer in a round. No answer, or another one, is
// not accepted.
type FailsafeAnswer struct {
	Member   string
	Accepted bool
	Position wal.LSN // 0: it did not say
}

// FailsafeGranted reports whether all have accepted. There is no majority: whoever
// did not answer may be the next leader (B-546). The positions are by member.
func FailsafeGranted(others map[string]string, answers []FailsafeAnswer) (positions map[string]wal.LSN, granted bool) {
	accepted, positions := map[string]bool{}, map[string]wal.LSN{}
	for _, a := range answers {
		accepted[a.Member] = a.Accepted
		if a.Accepted && a.Position > 0 {
			positions[a.Member] = a.Position
		}
	}
	for name := range others {
		if !accepted[name] {
			return nil, false
		}
	}
	return positions, true
}

// FailsafeCall is what the primary says to each of the others (B-544).
type FailsafeCall struct {
	Name    string
	ConnURL string
	APIURL  string
	Slots   map[string]wal.LSN // its replication slots, its own position among them; nil: not read

	// Permit: the caller's right to write does not hang on the answer. Nobody has to
	// promise it anything that the rules of package permit do not demand. Patroni neither
	// says nor reads it.
	Permit bool
}

// Encode is the body of the request.
func (c FailsafeCall) Encode() []byte {
	return EncodeJSON(struct {
		Name    string             `json:"name"`
		ConnURL string             `json:"conn_url"`
		APIURL  string             `json:"api_url"`
		Slots   map[string]wal.LSN `json:"slots,omitempty"`
		Permit  bool               `json:"permit,omitempty"`
	}{c.Name, c.ConnURL, c.APIURL, c.Slots, c.Permit})
}

// ReadFailsafeCall reads the body of a request, numbers as json.Number.
func ReadFailsafeCall(doc map[string]any) (FailsafeCall, error) {
	var c FailsafeCall
	for name, target := range map[string]*string{"name": &c.Name, "conn_url": &c.ConnURL, "api_url": &c.APIURL} {
		switch v := doc[name].(type) {
		case string:
			*target = v
		case json.Number:
			*target = v.String() // a member may be called 5
		}
		if *target == "" {
			return FailsafeCall{}, fmt.Errorf("read a failsafe request: %s is missing", name)
		}
	}
	c.Permit, _ = doc["permit"].(bool)
	slots, ok := doc["slots"].(map[string]any)
	if !ok {
		return c, nil
	}
	c.Slots = make(map[string]wal.LSN, len(slots))
	for name, v := range slots {
		if n, ok := integer(v); ok && n >= 0 {
			c.Slots[name] = wal.LSN(n)
		}
	}
	return c, nil
}

// FailsafePeers are the members to ask in a race: those with a member key, and in
// failsafe mode those that are only in the map, since a member key can end with
// the store's outage (B-113). A member key is the more recent source. One of them
// that is silent cannot block (B-550).
func (v View) FailsafePeers(s Settings) []Member {
	if !s.Failsafe {
		return v.Members
	}
	var listed []Member
	for name, apiURL := range v.Failsafe {
		if _, ok := v.Member(name); !ok {
			listed = append(listed, Member{Name: name, APIURL: apiURL})
		}
	}
	return withMembers(v.Members, listed...)
}
