package e2e

import "matriarch/test/e2e/contract"

// contractPurposes is the reviewed list of differences that are kept on purpose.
// Anything else that differs from a running Patroni is a fault. Before marks what an
// older Patroni does otherwise than 4.1.4, which is what we follow.
var contractPurposes = []contract.Purpose{
	// Ours, whatever the version.
	{Request: "*", Field: "header Content-Length", Theirs: contract.Missing, Why: "an answer that tells its length can be told from one that was cut off"},
	{Request: "*", Field: "header Date", Theirs: contract.Missing, Why: "an answer of a code alone has the date of the HTTP library; checks read the code"},
	{Request: "GET *", Field: "body.guard", Theirs: contract.Missing, Why: "Patroni has no guard"},
	{Request: "GET /metrics", Field: "metric matriarch_*", Theirs: contract.Missing, Why: "our own metrics stand beside Patroni's"},
	{Request: "POST /mpp*", Field: "*", Why: "anybody may call Patroni's (before 4.0 it has none), and ours asks for the credentials"},

	{Request: "GET /patroni", Field: "body.scheduled_restart.restart_pending", Theirs: "bool false", Ours: "bool true", Why: "its presence alone is what counts, so it is told as true"},

	// What came to Patroni after the older version.
	{Request: "GET *", Field: "body.patroni.version", Before: "4.1.4", Why: "each tells its own version, and ours is 4.1.4"},
	{Request: "GET /metrics", Field: "metric patroni_version value", Before: "4.1.4", Why: "each tells its own version, and ours is 4.1.4"},
	{Request: "GET *", Field: "body.patroni.name", Theirs: contract.Missing, Before: "4.0.0", Why: "the status has the member's name since 4.0"},
	{Request: "GET *", Field: "body.role", Theirs: "string master", Ours: "string primary", Before: "4.0.0", Why: "a primary is called so since 4.0"},
	{Request: "GET *", Field: "body.replication_state", Theirs: contract.Missing, Before: "3.0.4", Why: "there since 3.0.4"},
	{Request: "GET *", Field: "body.pending_restart_reason*", Theirs: contract.Missing, Before: "3.3.0", Why: "a pending restart has its reasons since 3.3"},
	{Request: "GET /cluster", Field: "body.members[?].pending_restart_reason*", Theirs: contract.Missing, Before: "3.3.0", Why: "a pending restart has its reasons since 3.3"},
	{Request: "POST /failsafe *", Field: "header Lsn", Theirs: contract.Missing, Before: "4.0.0", Why: "the receiver's position is told since 3.1"},
	{Request: "GET /cluster", Field: "body.scope", Theirs: contract.Missing, Before: "4.0.0", Why: "the scope is told since 3.3"},
	{Request: "GET /cluster", Field: "body.members[?].state", Theirs: "string running", Ours: "string streaming", Before: "3.0.4", Why: "a replication state is not known before 3.0.4"},
	{Request: "GET /cluster", Field: "body.members[?].*l??", Theirs: contract.Missing, Before: "4.1.0", Why: "positions stand beside the lag since 4.1"},
	{Request: "* /read-only-quorum", Field: "code", Theirs: "200", Ours: "503", Before: "4.0.0", Why: "before the quorum mode it is just another path with read-only in it"},
	{Request: "GET /readiness?lag=-1", Field: "code", Theirs: "200", Ours: "503", Before: "4.1.0", Why: "readiness asks for the lag since 4.1"},
	{Request: "GET /metrics", Field: "metric patroni_* labels", Before: "4.0.0", Why: "every sample has the member's name as well since 4.0"},
	{Request: "GET /metrics", Field: "metric patroni_master *", Ours: contract.Missing, Before: "4.0.0", Why: "gone since 4.0"},
	{Request: "GET /metrics", Field: "metric patroni_quorum_standby *", Theirs: contract.Missing, Before: "4.0.0", Why: "the quorum mode came with 4.0"},
	{Request: "GET /metrics", Field: "metric patroni_postgres_timeline type", Theirs: "counter", Ours: "gauge", Before: "4.0.0", Why: "a counter until 4.0"},
	{Request: "GET /metrics", Field: "metric patroni_postgres_state *", Theirs: contract.Missing, Before: "4.1.0", Why: "there since 4.1"},
	{Request: "GET /metrics", Field: "metric patroni_postgres_streaming *", Theirs: contract.Missing, Before: "3.0.4", Why: "there since 3.0.4"},
	{Request: "GET /metrics", Field: "metric patroni_postgres_in_archive_recovery *", Theirs: contract.Missing, Before: "3.0.4", Why: "there since 3.0.4"},
	{Request: "GET /metrics", Field: "metric patroni_postgres_server_version value", Theirs: contract.Missing, Before: "4.0.0", Why: "its older form has a blank before the labels"},
	{Request: "GET /metrics", Field: "metric line patroni_postgres_server_version *", Before: "4.0.0", Why: "its older form has a blank before the labels"},
	{Request: "GET /metrics", Field: "metrics, number", Before: "4.1.0", Why: "the metrics above that came later"},
	{Request: "POST /restart {\"role\":*", Field: "body", Theirs: "*either primary or replica", Before: "4.0.0", Why: "a standby leader can be named since 4.0"},
	{Request: "POST /*over {\"leader\":\"node1\",\"candidate\":\"node1\"}*", Field: "code", Theirs: "503", Ours: "400", Before: "4.0.0", Why: "refused at once since 3.1, not after an attempt"},
	{Request: "POST /*over {\"leader\":\"node1\",\"candidate\":\"node1\"}*", Field: "body", Ours: "Switchover target and source are the same", Before: "4.0.0", Why: "refused at once since 3.1, not after an attempt"},
	{Request: "POST /failover *scheduled_at*", Field: "body", Ours: "Failover can't be scheduled", Before: "4.0.0", Why: "worded otherwise until 3.1"},
}
