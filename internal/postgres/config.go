package postgres

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"matriarch/internal/postgres/conf"
)

// Credentials are a role and how it shows who it is. Extra holds further libpq
// keys, for example sslmode and sslcert.
type Credentials struct {
	Username string
	Password string
	Extra    map[string]string
}

// Upstream is a server to follow, copy or ask. One with no Host is nobody.
type Upstream struct {
	Name     string
	Host     string // may be a comma list
	Port     int
	Database string // empty: our own configured database
	Slot     string // empty: no slot
	Feedback bool   // hot_standby_feedback is on, whatever the parameters say
}

// Nobody is the upstream of a standby that follows no one.
var Nobody = Upstream{}

// Config is everything that the server's owner decides, as plain values.
type Config struct {
	Name  string // of this member: its application_name
	Scope string // of the cluster: its cluster_name

	DataDir   string
	ConfigDir string            // empty: the data directory
	BaseName  string            // stem of the main file; empty: postgresql
	BinDir    string            // empty: found by PATH
	BinNames  map[string]string // other names of the tools
	LogFile   string            // where the postmaster's output goes; empty: to ours

	ListenAddresses string
	Port            int
	Database        string // empty: postgres

	Superuser   Credentials
	Replication Credentials
	Rewind      Credentials // empty: the superuser's
	PgPass      string

	Parameters   map[string]string // merged already
	RecoveryConf map[string]string
	CustomConf   string
	PgHBA        []string
	PgIdent      []string
	BootstrapHBA []string

	Initdb            []string // rendered, for example --encoding=UTF8
	BaseBackupOptions []string // rendered likewise
	PostBootstrap     []string // command and arguments; the conninfo is added
	Custom            *CustomBootstrap
	ReplicaMethods    []ReplicaMethod // in the order in which they are tried
	PrePromote        []string        // command and arguments
	BeforeStop        []string        // likewise

	UseSlots    bool
	UsePgRewind bool
	// The next two are only carried for the one who decides.
	RemoveDataDirOnRewindFailure     bool
	RemoveDataDirOnDivergedTimelines bool

	CtlTimeout        time.Duration // how long a start may take; 0: one minute
	UseUnixSocket     bool
	UseUnixSocketRepl bool
	KrbSrvName        string
}

// CustomBootstrap makes a new cluster by a command of the user's instead of initdb,
// from a backup for example.
type CustomBootstrap struct {
	Command      []string          // with its arguments
	Recovery     map[string]string // for what the command left to be recovered; nil: nothing is
	KeepRecovery bool              // the command has written these settings itself
}

// ReplicaMethod is a way to make a standby. The one without a command is the base
// backup.
type ReplicaMethod struct {
	Name     string
	Command  []string
	Params   []Param
	KeepData bool // the command brings what is there up to date
	NoParams bool // it gets Params alone
	NoLeader bool // it needs no server to copy from
}

// Param is an argument --name=value.
type Param struct{ Name, Value string }

// clone makes the value independent of the caller's maps and slices.
func (c Config) clone() Config {
	c.BinNames = maps.Clone(c.BinNames)
	c.Parameters = maps.Clone(c.Parameters)
	c.RecoveryConf = maps.Clone(c.RecoveryConf)
	for _, who := range []*Credentials{&c.Superuser, &c.Replication, &c.Rewind} {
		who.Extra = maps.Clone(who.Extra)
	}
	for _, list := range []*[]string{&c.PgHBA, &c.PgIdent, &c.BootstrapHBA, &c.Initdb, &c.BaseBackupOptions, &c.PostBootstrap} {
		*list = slices.Clone(*list)
	}
	return c
}

func (c Config) data(elements ...string) string {
	return filepath.Join(append([]string{c.DataDir}, elements...)...)
}

func (c Config) configDir() string {
	if c.ConfigDir != "" {
		return c.ConfigDir
	}
	return c.DataDir
}

func (c Config) baseName() string {
	if c.BaseName != "" {
		return c.BaseName
	}
	return "postgresql"
}

func (c Config) mainFile() string { return filepath.Join(c.configDir(), c.baseName()+".conf") }
func (c Config) baseFile() string { return filepath.Join(c.configDir(), c.baseName()+".base.conf") }
func (c Config) hbaFile() string  { return filepath.Join(c.configDir(), "pg_hba.conf") }
func (c Config) identFile() string {
	return filepath.Join(c.configDir(), "pg_ident.conf")
}

func (c Config) database() string {
	if c.Database != "" {
		return c.Database
	}
	return "postgres"
}

func (c Config) port() int {
	if c.Port != 0 {
		return c.Port
	}
	return 5432
}

func (c Config) ctlTimeout() time.Duration {
	if c.CtlTimeout > 0 {
		return c.CtlTimeout
	}
	return time.Minute
}

// bin is the path of a tool, or its bare name for PATH to find.
func (c Config) bin(name string) string {
	if other := c.BinNames[name]; other != "" {
		name = other
	}
	if c.BinDir == "" {
		return name
	}
	return filepath.Join(c.BinDir, name)
}

// parameter looks a parameter up; PostgreSQL's names know no case.
func (c Config) parameter(name string) (string, bool) {
	for key, value := range c.Parameters {
		if strings.EqualFold(key, name) {
			return value, true
		}
	}
	return "", false
}

// recoverySettings are the user's for a standby: those among the parameters, if there
// are any, else those of recovery_conf (compat/config.md §5.3).
func (c Config) recoverySettings() map[string]string {
	found := map[string]string{}
	for name, value := range c.Parameters {
		if conf.IsRecovery(name) {
			found[strings.ToLower(name)] = value
		}
	}
	if len(found) > 0 {
		return found
	}
	for name, value := range c.RecoveryConf {
		found[strings.ToLower(name)] = value
	}
	return found
}

// RestoreCommand is how a standby fetches its log from an archive; empty: it does not.
func (c Config) RestoreCommand() string { return c.recoverySettings()["restore_command"] }

// rewindUser is who asks other servers: the rewind role, else the superuser.
func (c Config) rewindUser() Credentials {
	if c.Rewind.Username != "" {
		return c.Rewind
	}
	return c.Superuser
}

// localHost is where this server is reached over TCP: localhost when it listens
// there, else the first address it listens on.
func (c Config) localHost() string {
	addresses := strings.Split(c.ListenAddresses, ",")
	for _, a := range addresses {
		switch strings.TrimSpace(a) {
		case "*", "localhost", "0.0.0.0", "127.0.0.1", "":
			return "localhost"
		}
	}
	return strings.TrimSpace(addresses[0])
}

// localAddress is where this server is reached, by socket if it is wished and
// known where.
func (c Config) localAddress(socket bool) string {
	if !socket {
		return c.localHost()
	}
	directories, set := c.parameter("unix_socket_directories")
	if !set {
		return defaultSocketDir
	}
	for d := range strings.SplitSeq(directories, ",") {
		if d = strings.TrimSpace(d); filepath.IsAbs(d) {
			return d
		}
	}
	return c.localHost()
}

// defaultSocketDir is Debian's; a server that was built to use /tmp needs
// unix_socket_directories to be set (pg_config_manual.h,
// DEFAULT_PGSOCKET_DIR).
const defaultSocketDir = "/var/run/postgresql"
