package permit

// rule names one thing that a rule of the design demands. Only tests set any:
// they leave one out and require that the model notices.
type rule uint32

const (
	countFromSend    rule = 1 << iota // P1
	startIsQuiet                      // P2: when its agent starts
	ackIsQuiet                        // P2: when it acknowledges
	changeIsQuiet                     // P2: when the key changes
	mayStillApply                     // P3: takeovers without an answer
	noAckWhileTaking                  // P4: first half
	promiseHolds                      // P4: second half
	compareRevision                   // P5: every put compares
	demandThenPut                     // P5: adding
	putThenRelease                    // P5: removing
	onlyElectorate                    // P6: who may race
	aloneByStore                      // P6: peers do not count
	newestTermOnly                    // P7
	termsOutlive                      // P7, mended: nothing is acknowledged in ignorance
	pastByKey                         // P7, mended: with the leader key gone, the electorate tells what is past
	demandWhole                       // P8
	longerWhenAcked                   // P9: a longer permit needs every acknowledgement
	longerWhenPut                     // P9, mended: and the key
	shorterAfterEnd                   // P9, mended: the key is shortened last
	waitLongest                       // P9: a candidate's wait
	adoptWhole                        // P5, mended: a restarted agent knows the old one's puts
	soleToTheEnd                      // P6, mended: a put that lets others race ends the sole right before it is applied
	governedOnly                      // a leader key that was put without the electorate is not succeeded
	takenIsKept                       // with the electorate gone by hand, the term key tells whether anybody has led
)

// omitted is the set of rules that are left out: none, but in tests.
type omitted struct{ rules rule }

func (o omitted) keeps(r rule) bool { return o.rules&r == 0 }
