package daemon

import (
	"maps"
	"os"
	"path/filepath"
	"slices"

	"matriarch/internal/cluster"
	"matriarch/internal/config"
	"matriarch/internal/durable"
	"matriarch/internal/ha"
	"matriarch/internal/postgres"
)

// Version is what is published in the member key. Others parse it and behave by
// it, so it is the version of Patroni that this one is compatible with
// (compat/dcs.md §6).
const Version = "4.1.4"

// latestServer makes ParametersFor give what servers from 13 on understand.
const latestServer = 150000

// serverConfig turns the effective configuration into the server's.
func serverConfig(local *config.Config, e config.Postgresql) postgres.Config {
	return postgres.Config{
		Name: local.Name, Scope: local.Scope,
		DataDir: e.DataDir, ConfigDir: e.ConfigDir, BaseName: e.ConfigBaseName, BinDir: e.BinDir, BinNames: e.BinName,
		ListenAddresses: e.Parameters["listen_addresses"], Port: e.Listen.Port, Database: e.Database,
		Superuser: credentials(e.Authentication.Superuser), Replication: credentials(e.Authentication.Replication),
		Rewind: credentials(e.Authentication.Rewind), PgPass: e.PgPass,
		Parameters: e.ParametersFor(latestServer), RecoveryConf: e.RecoveryConf, CustomConf: e.CustomConf,
		PgHBA: e.PgHBA, PgIdent: e.PgIdent, BootstrapHBA: local.Bootstrap.PgHBA,
		Initdb: local.Bootstrap.Initdb, BaseBackupOptions: e.BaseBackup, PostBootstrap: words(local.Bootstrap.PostBootstrap),
		Custom: customBootstrap(local, e), ReplicaMethods: replicaMethods(e), PrePromote: words(e.PrePromote), BeforeStop: words(e.BeforeStop),
		UseSlots: e.UseSlots, UsePgRewind: e.UsePgRewind,
		RemoveDataDirOnRewindFailure:     e.RemoveDataDirectoryOnRewindFailure,
		RemoveDataDirOnDivergedTimelines: e.RemoveDataDirectoryOnDivergedTimelines,
		CtlTimeout:                       e.PgCtlTimeout, UseUnixSocket: e.UseUnixSocket, UseUnixSocketRepl: e.UseUnixSocketRepl,
		KrbSrvName: e.KrbSrvName,
	}
}

// words splits a command; one that cannot be split was reported when the file was
// read.
func words(command string) []string {
	list, err := config.Words(command)
	if err != nil {
		return nil
	}
	return list
}

// customBootstrap gives the user's command its arguments (compat/config.md §6.3): the
// other keys of its section are passed even with no_params.
func customBootstrap(local *config.Config, e config.Postgresql) *postgres.CustomBootstrap {
	m := local.Bootstrap.Custom
	if m == nil {
		return nil
	}
	command := words(m.Command)
	if len(command) == 0 {
		return nil
	}
	if !m.NoParams {
		command = append(command, "--scope="+local.Scope, "--datadir="+e.DataDir)
	}
	for _, p := range m.Params {
		command = append(command, "--"+p.Name+"="+p.Value)
	}
	return &postgres.CustomBootstrap{Command: command, Recovery: m.RecoveryConf, KeepRecovery: m.KeepExistingRecoveryConf}
}

// replicaMethods are the ways to make a standby, in their order. The built-in one has
// no command.
func replicaMethods(e config.Postgresql) []postgres.ReplicaMethod {
	var out []postgres.ReplicaMethod
	for _, name := range e.CreateReplicaMethods {
		m := e.ReplicaMethods[name]
		method := postgres.ReplicaMethod{Name: name, KeepData: m.KeepData, NoParams: m.NoParams, NoLeader: m.NoLeader}
		if name != "basebackup" {
			if method.Command = words(m.Command); len(method.Command) == 0 {
				continue
			}
		}
		for _, p := range m.Params {
			method.Params = append(method.Params, postgres.Param{Name: p.Name, Value: p.Value})
		}
		out = append(out, method)
	}
	return out
}

func credentials(u config.User) postgres.Credentials {
	out := postgres.Credentials{Username: u.Username, Password: u.Password.Reveal(), Extra: maps.Clone(u.Extra)}
	if u.SSLPassword != "" {
		if out.Extra == nil {
			out.Extra = map[string]string{}
		}
		out.Extra["sslpassword"] = u.SSLPassword.Reveal()
	}
	return out
}

// identity is what the node is by its configuration.
func identity(local *config.Config, e config.Effective) ha.Me {
	me := ha.Me{
		Name: local.Name, Tags: cluster.Tags(local.Tags), Version: Version,
		ConnURL:      "postgres://" + e.Postgresql.ConnectAddress.String() + "/" + e.Postgresql.Database,
		APIURL:       local.RestAPI.URL(),
		MayBootstrap: local.Bootstrap.Present, CustomBootstrap: local.Bootstrap.Custom != nil, AsksPrePromote: len(words(e.Postgresql.PrePromote)) > 0,
		CopiesAlone:           slices.ContainsFunc(replicaMethods(e.Postgresql), func(m postgres.ReplicaMethod) bool { return m.NoLeader && m.Command != nil }),
		UseRewind:             e.Postgresql.UsePgRewind,
		RemoveOnDiverged:      e.Postgresql.RemoveDataDirectoryOnDivergedTimelines,
		RemoveOnRewindFailure: e.Postgresql.RemoveDataDirectoryOnRewindFailure,
	}
	if e.Postgresql.ProxyAddress != "" {
		me.ProxyURL = "postgres://" + e.Postgresql.ProxyAddress + "/" + e.Postgresql.Database
	}
	return me
}

// firstDynamic is the configuration to begin with: the kept one, else that of the
// bootstrap section (compat/config.md §1.3).
func firstDynamic(local *config.Config) (map[string]any, error) {
	doc, err := config.Kept(local.Postgresql.DataDir)
	if doc == nil {
		return local.Bootstrap.DCS, err
	}
	return doc, nil
}

// saveDynamic keeps the document, its timing adjusted. The mode follows the data
// directory's (compat/config.md §1.3, §5.7).
func saveDynamic(dataDir string, doc map[string]any, e config.Effective) error {
	path := filepath.Join(dataDir, config.DynamicFile)
	data := cluster.EncodeJSON(cluster.Adjusted(doc, cluster.Settings{TTL: e.TTL, LoopWait: e.LoopWait, RetryTimeout: e.RetryTimeout}))
	if kept, err := os.ReadFile(path); err == nil && string(kept) == string(data) {
		return nil
	}
	return durable.WriteFile(path, data, postgres.FileMode(dataDir))
}
