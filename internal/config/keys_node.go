package config

import "math"

// logLevels are the names of Patroni's levels.
var logLevels = []string{"DEBUG", "INFO", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL"}

// globalKeys are those of the node itself: identity, log, watchdog, tags.
var globalKeys = []Key{
	key("scope", TypeText, "", "name of the cluster; path in the store, and cluster_name", required),
	key("name", TypeText, "", "name of this member, unique in the cluster", required),
	key("namespace", TypeText, "service", "first part of the path in the store"),
	key("thread_pool_size", TypeInt, "5", "accepted and ignored", lenient, atLeast(5), idle("work is not held up by a number of threads")),
	key("thread_stack_size", TypeMemory, "524288", "accepted and ignored", lenient, atLeast(65536), idle("stacks grow as they need")),

	key("log", TypeSection, "", "what is logged, and where to"),
	key("log.type", TypeText, "plain", "form of a line", lenient, oneOf("plain", "json")),
	key("log.level", TypeText, "INFO", "least level that is logged", oneOf(logLevels...)),
	key("log.traceback_level", TypeText, "ERROR", "accepted and ignored", lenient, oneOfAnyCase("DEBUG", "ERROR"), idle("an error tells its whole chain in one line, and with log.level DEBUG its stack as well")),
	key("log.format", TypeFormat, "%(asctime)s %(levelname)s: %(message)s", "fields of a line", lenient, nonEmpty),
	key("log.dateformat", TypeText, "", "strftime form of the time; empty for YYYY-mm-dd HH:MM:SS,mmm", lenient),
	key("log.static_fields", TypeMap, "", "constant fields of each line, json only"),
	key("log.max_queue_size", TypeInt, "1000", "records waiting to be written"),
	key("log.dir", TypeText, "", "directory of patroni.log; stderr if there is none"),
	key("log.mode", TypeInt, "", "permissions of the log file", lenient, between(0, 0o777)),
	key("log.file_num", TypeInt, "4", "rotated files kept"),
	key("log.file_size", TypeInt, "25000000", "bytes at which the file is rotated"),
	key("log.loggers", TypeValues, "", "level by part of the program, as matriarch.postgres; Patroni's names are understood"),
	key("log.deduplicate_heartbeat_logs", TypeSwitch, "", "accepted and ignored", idle("a line is written when something changes, so there is nothing to repeat")),

	key("watchdog", TypeSection, "", "the kernel's device that resets a hung machine"),
	key("watchdog.mode", TypeText, "automatic", "off, automatic, or required", lenient, instead("off is used"),
		oneOfAnyCase("off", "automatic", "required", "false", "disable", "disabled", "auto", "require")),
	key("watchdog.device", TypeText, "/dev/watchdog", ""),
	key("watchdog.safety_margin", TypeInt, "5", "seconds between the device's timeout and ttl; -1 for half of ttl", atLeast(-1)),
	key("watchdog.driver", TypeText, "", ""),

	key("tags", TypeMap, "", "properties of the member; free names are allowed"),
	key("tags.nofailover", TypeSwitch, "", "never leader"),
	key("tags.failover_priority", TypeInt, "1", "choice among equally advanced standbys; 0 or less: never leader", lenient, atLeast(0)),
	key("tags.noloadbalance", TypeSwitch, "", "GET /replica answers 503"),
	key("tags.clonefrom", TypeSwitch, "", "preferred source of base backups"),
	key("tags.nosync", TypeSwitch, "", "never synchronous standby"),
	key("tags.sync_priority", TypeInt, "1", "choice among synchronous standbys; 0 or less: none", lenient, atLeast(0)),
	key("tags.replicatefrom", TypeText, "", "member to follow instead of the leader"),
	key("tags.nostream", TypeBool, "", "no streaming replication, from the archive only", lenient),
}

var restapiKeys = []Key{
	key("restapi", TypeSection, "", "the HTTP interface of this member", required),
	key("restapi.listen", TypeText, "", "host:port; an empty host or * for all addresses", required),
	key("restapi.connect_address", TypeText, "", "host:port by which others reach it; restapi.listen if not given"),
	key("restapi.authentication", TypeSection, "", "Basic authentication of requests that change something"),
	key("restapi.authentication.username", TypeText, "", ""),
	key("restapi.authentication.password", TypeText, "", "", secret),
	key("restapi.certfile", TypeText, "", "certificate; turns https on"),
	key("restapi.keyfile", TypeText, "", "private key"),
	key("restapi.keyfile_password", TypeText, "", "", secret),
	key("restapi.cafile", TypeText, "", "certificates that client certificates are verified with"),
	key("restapi.ciphers", TypeText, "", ""),
	key("restapi.verify_client", TypeText, "none", "whether clients need a certificate", lenient, oneOf("none", "optional", "required")),
	key("restapi.allowlist", TypeTexts, "", "who may send requests that change something: host, address or network", lenient, nonEmpty),
	key("restapi.allowlist_include_members", TypeSwitch, "", "and the members' own addresses"),
	key("restapi.http_extra_headers", TypeValues, "", "added to every answer"),
	key("restapi.https_extra_headers", TypeValues, "", "added with https"),
	key("restapi.request_queue_size", TypeInt, "5", "accepted and ignored", between(0, 4096),
		idle("the length of the queue is the kernel's, net.core.somaxconn")),
	key("restapi.thread_pool_size", TypeInt, "5", "accepted and ignored", lenient, atLeast(5), idle("requests are not held up by a number of threads")),
	key("restapi.server_tokens", TypeText, "Original", "what the Server header tells", lenient, oneOfAnyCase("Original", "Minimal", "ProductOnly")),

	key("ctl", TypeSection, "", "how other members' HTTP interfaces are called"),
	key("ctl.authentication", TypeSection, "", "restapi.authentication if not given"),
	key("ctl.authentication.username", TypeText, "", ""),
	key("ctl.authentication.password", TypeText, "", "", secret),
	key("ctl.insecure", TypeSwitch, "", "do not verify certificates"),
	key("ctl.cacert", TypeText, "", "restapi.cafile if not given"),
	key("ctl.certfile", TypeText, "", "client certificate"),
	key("ctl.keyfile", TypeText, "", "its key"),
	key("ctl.keyfile_password", TypeText, "", "", secret),
}

// storeKeys are those of the stores that can be used, and of those that Patroni
// also knows: these are free maps, and choosing one is refused by name.
func storeKeys() []Key {
	keys := []Key{
		key("dcs", TypeText, "", "embedded: every member runs its own part of the store (an extension to Patroni)", oneOf("embedded")),
		key("embedded", TypeSection, "", "the embedded store, the same on every node"),
		key("embedded.data_dir", TypeText, "", "directory of the store; <postgresql.data_dir>-etcd if not given"),
		key("embedded.members", TypeList, "", "members of the store: name, host, client_port (2379), peer_port (2380)", nonEmpty),
		key("citus", TypeMap, "", "not supported"),
	}
	for _, name := range unsupportedStores {
		keys = append(keys, key(name, TypeMap, "", "not supported"))
	}
	for _, name := range []string{"etcd3", "etcd"} {
		add := func(last string, t Type, def, note string, options ...func(*Key)) {
			keys = append(keys, key(name+"."+last, t, def, note, options...))
		}
		keys = append(keys, key(name, TypeSection, "", "the store: etcd, by its v3 protocol"))
		add("host", TypeHosts, "", "host[:port] of one member, from which the others are learnt")
		add("port", TypeInt, "2379", "where host or hosts say none", between(1, 65535))
		add("hosts", TypeHosts, "", "host[:port] of several members")
		add("url", TypeText, "", "of one member; http(s)://[user:password@]host[:port]", secret)
		add("proxy", TypeText, "", "as url, and the other members are not learnt", secret)
		add("use_proxies", TypeSwitch, "", "the hosts given are all there are")
		add("srv", TypeText, "", "domain whose SRV records name the members")
		add("discovery_srv", TypeText, "", "old name of srv")
		add("srv_domain", TypeText, "", "old name of srv")
		add("srv_suffix", TypeText, "", "after the name of the service")
		add("protocol", TypeText, "http", "http or https", oneOf("http", "https"))
		add("username", TypeText, "", "")
		add("password", TypeText, "", "", secret)
		add("cacert", TypeText, "", "certificates that the servers' are verified with")
		add("cert", TypeText, "", "client certificate")
		add("key", TypeText, "", "its key")
	}
	return keys
}

var bootstrapKeys = []Key{
	key("bootstrap", TypeSection, "", "how a new cluster is made; a node without it never makes one"),
	key("bootstrap.dcs", TypeSection, "", "first dynamic configuration", required),
	key("bootstrap.method", TypeText, "initdb", "initdb, or the section of an own method"),
	key("bootstrap.initdb", TypeOptions, "", "options of initdb"),
	key("bootstrap.pg_hba", TypeTexts, "", "lines added to the pg_hba.conf that initdb makes"),
	key("bootstrap.post_bootstrap", TypeText, "", "command to run on the new cluster; gets one connection string"),
	key("bootstrap.post_init", TypeText, "", "old name of post_bootstrap"),
	key("bootstrap.users", TypeMap, "", "not supported since Patroni 4.0"),
}

// dynamicKeys are those of the configuration that the cluster shares, beside the
// ones below postgresql.
var dynamicKeys = []Key{
	key("ttl", TypeSeconds, "30", "seconds the leader key lives"),
	key("loop_wait", TypeSeconds, "10", "seconds between two passes"),
	key("retry_timeout", TypeSeconds, "10", "seconds that operations on the store may take"),
	key("permit", TypeLength, "1", "seconds a primary may write without a word of the members or the store, from 0.3 to ttl/3; not Patroni's", lenient),
	key("maximum_lag_on_failover", TypeInt, "1048576", "bytes; a standby further behind is not promoted by itself", lenient, atLeast(0)),
	key("maximum_lag_on_syncnode", TypeInt, "-1", "bytes; a synchronous standby further behind is replaced", lenient, atLeast(-1)),
	key("max_timelines_history", TypeInt, "0", "entries kept in the history; 0 for all", lenient, atLeast(0)),
	key("primary_start_timeout", TypeInt, "300", "seconds a crashed primary has to recover", lenient, atLeast(0)),
	key("master_start_timeout", TypeInt, "300", "old name of primary_start_timeout", lenient, atLeast(0)),
	key("primary_stop_timeout", TypeInt, "0", "seconds a primary has to stop, in synchronous mode", lenient, atLeast(0)),
	key("master_stop_timeout", TypeInt, "0", "old name of primary_stop_timeout", lenient, atLeast(0)),
	key("synchronous_mode", TypeSync, "off", "on, off, or quorum", lenient),
	key("synchronous_mode_strict", TypeBool, "off", "rather no writes than asynchronous ones", lenient),
	key("synchronous_node_count", TypeInt, "1", "wanted synchronous standbys", lenient, between(1, math.MaxInt32)),
	key("failsafe_mode", TypeBool, "off", "go on without the store while all members are reached", lenient),
	key("check_timeline", TypeBool, "off", "no leader from an older timeline", lenient),
	key("pause", TypeBool, "off", "hands off", lenient),
	key("member_slots_ttl", TypeTime, "1800", "seconds that slots of absent members are kept", lenient, atLeast(0)),
	key("slots", TypeMap, "", "permanent slots"),
	key("permanent_slots", TypeMap, "", "old name of slots"),
	key("permanent_replication_slots", TypeMap, "", "old name of slots"),
	key("ignore_slots", TypeList, "", "slots that are left alone"),
	key("postgresql", TypeSection, "", "settings of all nodes' servers"),
	key("postgresql.use_slots", TypeBool, "true", "replication slots for members", lenient, instead("false is used")),
	key("standby_cluster", TypeSection, "", "this cluster follows another"),
	key("standby_cluster.host", TypeText, "", "address of the other primary; several with commas"),
	key("standby_cluster.port", TypeInt, "", "its port", between(1, 65535)),
	key("standby_cluster.primary_slot_name", TypeText, "", "slot there"),
	key("standby_cluster.create_replica_methods", TypeTexts, "basebackup", ""),
	key("standby_cluster.restore_command", TypeText, "", ""),
	key("standby_cluster.archive_cleanup_command", TypeText, "", ""),
	key("standby_cluster.recovery_min_apply_delay", TypeAny, "", ""),
}
