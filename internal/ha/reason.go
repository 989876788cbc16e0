package ha

// Reason is why a plan is as it is. Log, API and tests read the same one.
type Reason int

// The reasons, in the order in which Decide can come to them.
const (
	Steady Reason = iota
	Leading
	Following
	NoPermit
	StoreAway
	StoreAwayTooLong
	PermitOver
	FrozenWithoutLead
	Overtaken
	Barred
	NotOurCluster
	RunsAsStandbyAlone
	Busy
	BusyStartTooSlow
	HandingOver
	HandedOver
	AgentEnding
	AgentEnded
	DirectoryUnreadable
	CreatingCluster
	ClusterCreated
	CreationFailed
	WaitingForCreation
	WaitingForLeader
	Cloning
	ClonePaused
	CloningAlone
	HalfWritten
	AdoptingCluster
	CrashRestart
	CrashHandedOn
	StartFailed
	StartAlone
	RejoinReading
	RejoinStreaming
	RejoinRewinding
	RejoinCloning
	RejoinWaitsForCheckpoint
	RejoinImpossible
	Forked
	RaceQuiet
	RaceAsking
	RaceWon
	RaceRetaken
	RaceExcluded
	RaceUnarmed
	RaceBehind
	RaceOutranked
	RaceLessPreferred
	RaceNofailover
	RacePrimaryAlive
	RaceLeftToCandidate
	RaceStaleTimeline
	Promotion
	PromotionAsked
	PromotionRefused
	PromotionOverruled
	RequestAsking
	RequestDone
	RequestUnreadable
	RequestLate
	RequestMisaddressed
	RequestNoMember
	RequestNobodyAble
	RequestNoVotes
	RequestScheduled
	ChangingUpstream
	Outgrown
	Restarting
	Restarted
	RestartFailed
	RestartRefused
	Reinitializing
	ReinitializeRefused
	Paused
	PausedReleasing
	PausedSuperseded
	Unsupported
)

var reasonText = map[Reason]string{
	Steady:                   "nothing to do",
	Leading:                  "leading",
	Following:                "following the leader",
	NoPermit:                 "leading, and waiting for a permit to write",
	StoreAway:                "the store is out of reach",
	StoreAwayTooLong:         "the store and the other members are out of reach: the right to write is not known, so the server may not run as a primary",
	PermitOver:               "this member has no right to write that would hold, and no guard that would freeze the server in time: killing it before another member may take over",
	FrozenWithoutLead:        "the server is frozen and this member does not lead: killing it",
	Overtaken:                "another member holds the leader key: this primary is killed",
	Barred:                   "the watchdog device, which is required, does not work: this member may not lead",
	NotOurCluster:            "the data directory belongs to another cluster",
	RunsAsStandbyAlone:       "the server is a standby of a cluster that the store does not know: start the agent beside the primary first",
	Busy:                     "work is under way",
	BusyStartTooSlow:         "the primary takes longer to start than primary_start_timeout: handing over",
	HandingOver:              "switchover: stopping",
	HandedOver:               "switchover: waiting for the new leader",
	AgentEnding:              "the agent ends: stopping the server",
	AgentEnded:               "the agent has ended",
	DirectoryUnreadable:      "the data directory cannot be read",
	CreatingCluster:          "creating the cluster",
	ClusterCreated:           "the cluster is created",
	CreationFailed:           "creating the cluster failed",
	WaitingForCreation:       "another member is creating the cluster",
	WaitingForLeader:         "waiting for a leader",
	Cloning:                  "copying the leader's data",
	ClonePaused:              "the last copy failed; waiting before the next try",
	CloningAlone:             "no leader: making a copy by a method that needs none",
	HalfWritten:              "the data directory is half written and may not be removed: remove it to have it copied anew",
	AdoptingCluster:          "giving the store the system identifier of this server",
	CrashRestart:             "the primary is down: restarting it in place",
	CrashHandedOn:            "the primary is down: handing over",
	StartFailed:              "the server could not be started; waiting before the next try",
	StartAlone:               "starting without an upstream",
	RejoinReading:            "asking the leader for its timeline history",
	RejoinStreaming:          "the leader's history contains ours: streaming from it",
	RejoinRewinding:          "our log has forked off: rewinding",
	RejoinCloning:            "our log has forked off and cannot be rewound: copying anew",
	RejoinWaitsForCheckpoint: "waiting for the leader's checkpoint after its promotion",
	RejoinImpossible:         "our log has forked off, and neither pg_rewind nor the removal of the data directory is possible or allowed: reinitialize this member",
	Forked:                   "our log has forked off the leader's: stopping to repair",
	RaceQuiet:                "the leader is silent: waiting until its permit has surely ended",
	RaceAsking:               "no leader: asking the other members",
	RaceWon:                  "no leader and none better: taking the lead",
	RaceRetaken:              "running as primary with the leader key gone: taking it again",
	RaceExcluded:             "no leader, and this member may not lead",
	RaceUnarmed:              "the last leader's agent ended in a pause, and its PostgreSQL may be taking writes with nothing to stop it: waiting for that agent, or for a failover by hand to a named candidate",
	RaceBehind:               "no leader, and this member is too far behind",
	RaceOutranked:            "no leader, and another member is ahead",
	RaceLessPreferred:        "no leader, and another member is as far and preferred",
	RaceNofailover:           "no leader: following a different leader because I am not allowed to promote (nofailover, or failover_priority 0)",
	RacePrimaryAlive:         "no leader key, but another member still runs as primary",
	RaceLeftToCandidate:      "no leader: leaving it to the requested candidate",
	RaceStaleTimeline:        "running as primary on an old timeline: stopping",
	Promotion:                "elected: promoting",
	PromotionAsked:           "elected: asking pre_promote",
	PromotionRefused:         "pre_promote refused the promotion: giving up the lead",
	PromotionOverruled:       "elected, but the sync key had changed meanwhile: giving up the lead, to be elected by the new one",
	RequestAsking:            "switchover requested: asking the candidates",
	RequestDone:              "the switchover or failover that was asked for is done: clearing the request",
	RequestUnreadable:        "the requested switchover or failover is cleared: its time cannot be read",
	RequestLate:              "the requested switchover or failover is cleared: its time passed more than loop_wait and a half ago",
	RequestMisaddressed:      "the requested switchover or failover is cleared: it names another leader than this one, or the leader as its candidate, or, in pause, no candidate",
	RequestNoMember:          "the requested switchover or failover is cleared: no member could be its candidate (it is not known, is tagged nofailover, or is not a synchronous standby)",
	RequestNobodyAble:        "the requested switchover or failover is cleared: no candidate could take over (it gave no answer, is too far behind or on an older timeline, may not be promoted, or its watchdog does not work)",
	RequestNoVotes:           "the requested switchover is cleared: with quorum commit too few of the voters gave an answer for anyone to win",
	RequestScheduled:         "a switchover is scheduled",
	ChangingUpstream:         "changing the upstream",
	Outgrown:                 "the primary's settings have grown beyond those of this standby, which has stopped replaying: starting it with theirs",
	Restarting:               "restarting, as was asked for",
	Restarted:                "restarted, as was asked for",
	RestartFailed:            "the restart that was asked for failed",
	RestartRefused:           "the restart that was asked for is not possible, or its conditions are not met",
	Reinitializing:           "copying anew, as was asked for",
	ReinitializeRefused:      "the copy that was asked for cannot be made: no other member of this cluster is known to run as its leader",
	Paused:                   "paused: hands off",
	PausedReleasing:          "paused, and this leader is not a running primary: giving up the leader key",
	PausedSuperseded:         "paused: running as primary on a timeline that the cluster has gone on from: taking the lead only if asked for by name",
	Unsupported:              "the configuration asks for a standby cluster, which this version does not run",
}

// String says the reason in words.
func (r Reason) String() string { return reasonText[r] }
