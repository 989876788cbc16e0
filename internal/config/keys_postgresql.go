package config

// binaries are the programs whose file names can be changed.
var binaries = []string{"pg_ctl", "initdb", "pg_controldata", "pg_basebackup", "postgres", "pg_isready", "pg_rewind"}

// userKeys are what a database user's section takes, by libpq's parameter names but
// for username.
var userKeys = []string{"username", "password", "sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert",
	"sslcrl", "sslcrldir", "gssencmode", "channel_binding", "sslnegotiation"}

// callbackNames are the events for which a command can be given.
var callbackNames = []string{"on_start", "on_stop", "on_restart", "on_reload", "on_role_change"}

func isSecretUserKey(name string) bool { return name == "password" || name == "sslpassword" }

// postgresqlKeys are those of the server. All but the local ones may also stand in
// the dynamic configuration.
func postgresqlKeys() []Key {
	keys := []Key{
		key("postgresql", TypeSection, "", "the server of this node", required, local),
		key("postgresql.listen", TypeText, "", "host[,host…][:port], the port 5432 if not given", required, local),
		key("postgresql.connect_address", TypeText, "", "host[:port] by which others reach it", local),
		key("postgresql.proxy_address", TypeText, "", "host:port of a proxy before it, published only", local),
		key("postgresql.data_dir", TypeText, "", "PGDATA", required, local),
		key("postgresql.config_dir", TypeText, "", "directory of postgresql.conf; data_dir if not given", local),
		key("postgresql.pgpass", TypeText, "", "password file that is overwritten; ~/pgpass if not given", local),
		key("postgresql.authentication", TypeSection, "", "users of the server", local),
		key("postgresql.name", TypeText, "", "old place of name", local),

		key("postgresql.config_base_name", TypeText, "postgresql", "name of the configuration file without .conf"),
		key("postgresql.database", TypeText, "postgres", "database to connect to"),
		key("postgresql.bin_dir", TypeText, "", "directory of the programs; PATH if not given"),
		key("postgresql.bin_name", TypeSection, "", "other names of the programs"),
		key("postgresql.callbacks", TypeSection, "", "commands to run after events"),
		key("postgresql.create_replica_methods", TypeTexts, "basebackup", "ways to make a standby, in order"),
		key("postgresql.create_replica_method", TypeTexts, "", "old name of create_replica_methods"),
		key("postgresql.basebackup", TypeOptions, "", "options of pg_basebackup"),
		key("postgresql.recovery_conf", TypeValues, "", "recovery settings of standbys"),
		key("postgresql.custom_conf", TypeText, "", "file included instead of postgresql.base.conf"),
		key("postgresql.parameters", TypeValues, "", "server settings"),
		key("postgresql.pg_hba", TypeTexts, "", "lines of pg_hba.conf", nonEmpty),
		key("postgresql.pg_ident", TypeTexts, "", "lines of pg_ident.conf", nonEmpty),
		key("postgresql.pg_ctl_timeout", TypeInt, "60", "seconds to wait for the server's start", lenient, atLeast(0)),
		key("postgresql.use_pg_rewind", TypeSwitch, "", "pg_rewind on a former primary that diverged"),
		key("postgresql.remove_data_directory_on_rewind_failure", TypeSwitch, "", "else copy it anew"),
		key("postgresql.remove_data_directory_on_diverged_timelines", TypeSwitch, "", "copy it anew where it cannot be rewound"),
		key("postgresql.pre_promote", TypeText, "", "command that must succeed before promotion"),
		key("postgresql.before_stop", TypeText, "", "command to run before the server is stopped"),
		key("postgresql.use_unix_socket", TypeSwitch, "", "own connections over a socket"),
		key("postgresql.use_unix_socket_repl", TypeSwitch, "", "own replication connections over a socket"),
		key("postgresql.krbsrvname", TypeText, "", "Kerberos service name"),

		key("postgresql.replication", TypeMap, "", "old place of authentication.replication", local),
		key("postgresql.superuser", TypeMap, "", "old place of authentication.superuser", local),
		key("postgresql.pg_rewind", TypeMap, "", "old place of authentication.superuser", local),
	}
	for _, name := range binaries {
		keys = append(keys, key("postgresql.bin_name."+name, TypeText, name, ""))
	}
	for _, name := range callbackNames {
		keys = append(keys, key("postgresql.callbacks."+name, TypeText, "", "command; gets event, role and scope"))
	}
	for _, user := range []string{"superuser", "replication", "rewind"} {
		keys = append(keys, key("postgresql.authentication."+user, TypeSection, "", "", local))
		for _, name := range userKeys {
			k := key("postgresql.authentication."+user+"."+name, TypeText, "", "", local)
			k.Secret = isSecretUserKey(name)
			keys = append(keys, k)
		}
	}
	return keys
}
