package config

import (
	"slices"
	"strings"

	"matriarch/internal/postgres/conf"
)

// Apply says what it takes until a changed value counts.
type Apply struct {
	Restart bool   `json:"restart"` // of PostgreSQL or of the agent: somebody has to decide when
	How     string `json:"how"`
}

const (
	reloadAgent   = "reload of the agent on this node (SIGHUP, or matriarch reload)"
	restartAgent  = "restart of the agent on this node; PostgreSQL runs on, if the guard holds it"
	byEdit        = "matriarch edit-config; every node takes it at once"
	onlyAtBirth   = "only when a new cluster is created; in a living one use matriarch edit-config"
	nothingReads  = "nothing: it is accepted and ignored"
	serverReloads = "PostgreSQL reloads"
	nextTime      = reloadAgent + "; counts for the next time that it is needed"
)

// applyRules give the longest matching path the word.
var applyRules = map[string]Apply{
	"":                                  {false, reloadAgent},
	"scope":                             {true, restartAgent},
	"name":                              {true, restartAgent},
	"namespace":                         {true, restartAgent},
	"dcs":                               {true, restartAgent},
	"embedded":                          {true, restartAgent},
	"etcd":                              {true, restartAgent},
	"etcd3":                             {true, restartAgent},
	"etcd.username":                     {false, reloadAgent},
	"etcd.password":                     {false, reloadAgent},
	"etcd3.username":                    {false, reloadAgent},
	"etcd3.password":                    {false, reloadAgent},
	"thread_pool_size":                  {false, nothingReads},
	"thread_stack_size":                 {false, nothingReads},
	"restapi.request_queue_size":        {false, nothingReads},
	"restapi.thread_pool_size":          {false, nothingReads},
	"log.deduplicate_heartbeat_logs":    {false, nothingReads},
	"log.traceback_level":               {false, nothingReads},
	"ctl.insecure":                      {false, "nothing: each command reads it anew"},
	"bootstrap":                         {false, onlyAtBirth},
	"postgresql.listen":                 {true, reloadAgent + ", then restart of PostgreSQL on this node"},
	"postgresql.data_dir":               {true, restartAgent},
	"postgresql.config_dir":             {true, restartAgent},
	"postgresql.config_base_name":       {true, restartAgent},
	"postgresql.database":               {true, restartAgent},
	"postgresql.pgpass":                 {true, restartAgent},
	"postgresql.bin_dir":                {false, nextTime},
	"postgresql.bin_name":               {false, nextTime},
	"postgresql.basebackup":             {false, nextTime},
	"postgresql.callbacks":              {false, nextTime},
	"postgresql.use_pg_rewind":          {false, nextTime},
	"postgresql.pg_ctl_timeout":         {false, nextTime},
	"postgresql.use_slots":              {false, byEdit},
	"postgresql.authentication":         {false, reloadAgent + "; the role in the database is not changed"},
	"postgresql.recovery_conf":          {false, reloadAgent + "; counts on standbys"},
	"postgresql.create_replica_methods": {false, nextTime},
}

// applies finds what a change of a key of the local file takes.
func applies(path string) Apply {
	for {
		if rule, known := applyRules[path]; known {
			return rule
		}
		path = path[:max(strings.LastIndexByte(path, '.'), 0)]
	}
}

// shrinkOnPrimaryFirst are the settings that must not be lower on a standby than
// the primary has them (xlogrecovery.c, CheckRequiredParameterValues).
var shrinkOnPrimaryFirst = []string{"max_connections", "max_prepared_transactions", "max_locks_per_transaction",
	"max_worker_processes", "max_wal_senders"}

// restartSettings are those that PostgreSQL reads at its start alone: context
// postmaster in pg_settings of 15, with what came in 16 to 18. Those that left it
// meanwhile are left out, as a restart does them no harm.
var restartSettings = strings.Fields(`archive_mode autovacuum_freeze_max_age autovacuum_max_workers
	autovacuum_multixact_freeze_max_age autovacuum_worker_slots bonjour bonjour_name cluster_name commit_timestamp_buffers
	config_file data_directory data_sync_retry debug_io_direct dynamic_shared_memory_type event_source external_pid_file
	hba_file hot_standby huge_page_size huge_pages ident_file ignore_invalid_pages io_max_combine_limit
	io_max_concurrency io_method jit_provider listen_addresses logging_collector max_active_replication_origins
	max_connections max_files_per_process max_locks_per_transaction max_logical_replication_workers
	max_notify_queue_pages max_pred_locks_per_transaction max_prepared_transactions max_replication_slots
	max_wal_senders max_worker_processes min_dynamic_shared_memory multixact_member_buffers multixact_offset_buffers
	notify_buffers old_snapshot_threshold port reserved_connections serializable_buffers shared_buffers
	shared_memory_type shared_preload_libraries subtransaction_buffers superuser_reserved_connections
	track_activity_query_size track_commit_timestamp transaction_buffers unix_socket_directories unix_socket_group
	unix_socket_permissions wal_buffers wal_decode_buffer_size wal_level wal_log_hints`)

// appliesParameter is the same for a setting of the server. everywhere: it comes
// from the dynamic configuration, so all nodes change.
func appliesParameter(name string, everywhere bool) Apply {
	name = strings.ToLower(name)
	how, where := reloadAgent, "on this node"
	if everywhere {
		how, where = byEdit, "on every node"
	}
	switch {
	case name == "cluster_name" || name == "port" || name == "listen_addresses":
		c, _ := conf.FindControlled(name)
		return Apply{true, "change " + c.From + ", then restart PostgreSQL on this node"}
	case slices.Contains(shrinkOnPrimaryFirst, name):
		return Apply{true, how + ", then restart PostgreSQL " + where + ": to raise it the standbys first, to lower it the primary first"}
	case slices.Contains(restartSettings, name):
		return Apply{true, how + ", then restart PostgreSQL " + where}
	case strings.Contains(name, "."):
		return Apply{false, how + "; the extension may ask for a restart of PostgreSQL"}
	}
	return Apply{false, how + "; " + serverReloads}
}
