package postgres

import (
	"maps"
	"strconv"

	"matriarch/internal/postgres/conf"
)

// standbyConninfo is primary_conninfo: without a password, which is looked up in
// the password file. Empty for nobody.
func standbyConninfo(cfg Config, upstream Upstream, major int) string {
	if upstream.Host == "" {
		return ""
	}
	values := libpqValues(cfg, cfg.Replication, upstream)
	if cfg.Replication.Password != "" && cfg.PgPass != "" {
		values["passfile"] = cfg.PgPass
	}
	values["application_name"] = cfg.Name
	for key, value := range map[string]string{
		"sslmode": "prefer", "gssencmode": "prefer", "channel_binding": "prefer", "sslnegotiation": "postgres",
	} {
		if values[key] == "" {
			values[key] = value
		}
	}
	return conf.Conninfo(values, major)
}

// toolConninfo is what a tool gets on its command line; the password file is
// named by its environment.
func toolConninfo(cfg Config, who Credentials, server Upstream, major int) string {
	return conf.Conninfo(libpqValues(cfg, who, server), major)
}

func libpqValues(cfg Config, who Credentials, server Upstream) map[string]string {
	values := maps.Clone(who.Extra)
	if values == nil {
		values = map[string]string{}
	}
	// These can never come from a role's section.
	for _, key := range []string{"options", "connect_timeout", "password", "passfile"} {
		delete(values, key)
	}
	values["user"] = who.Username
	values["host"] = server.Host
	values["port"] = strconv.Itoa(server.port())
	values["dbname"] = server.Database
	if server.Database == "" {
		values["dbname"] = cfg.database()
	}
	values["krbsrvname"] = cfg.KrbSrvName
	return values
}

// passEnvironment points a tool to the password file.
func passEnvironment(cfg Config) []string {
	if cfg.PgPass == "" {
		return nil
	}
	env := []string{"PGPASSFILE=" + cfg.PgPass}
	if cfg.KrbSrvName != "" {
		env = append(env, "PGKRBSRVNAME="+cfg.KrbSrvName)
	}
	return env
}
