package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Postgresql describes the server of this node: as the local file has it in
// Config, combined with the cluster's settings in Effective.
type Postgresql struct {
	Listen         Listen
	ConnectAddress HostPort
	ProxyAddress   string
	DataDir        string
	ConfigDir      string
	ConfigBaseName string
	Database       string
	BinDir         string            // empty for PATH
	BinName        map[string]string // file name of each program
	PgPass         string
	Authentication Authentication

	Parameters   map[string]string // as spelled; values in text form
	RecoveryConf map[string]string
	CustomConf   string
	PgHBA        []string // nil if it is not configured
	PgIdent      []string // nil if it is not configured

	CreateReplicaMethods []string
	ReplicaMethods       map[string]ReplicaMethod
	BaseBackup           []string // options of pg_basebackup, as arguments
	PgCtlTimeout         time.Duration
	Callbacks            map[string]string // by event: on_start …
	PrePromote           string
	BeforeStop           string

	UsePgRewind                            bool
	RemoveDataDirectoryOnRewindFailure     bool
	RemoveDataDirectoryOnDivergedTimelines bool
	UseSlots                               bool // true until Effective has read the cluster's settings
	UseUnixSocket, UseUnixSocketRepl       bool
	KrbSrvName                             string
}

// Bin is the path of a program, or its name where PATH is searched.
func (p Postgresql) Bin(program string) string {
	name := p.BinName[program]
	if name == "" {
		name = program
	}
	if p.BinDir == "" {
		return name
	}
	return filepath.Join(p.BinDir, name)
}

// Authentication are the users by which the node reaches servers.
type Authentication struct {
	Superuser   User
	Replication User
	Rewind      User // the superuser if it was not given
}

// User is a database user with what libpq needs to connect as it.
type User struct {
	Username    string
	Password    Secret
	SSLPassword Secret
	Extra       map[string]string // sslmode, sslcert, …, by libpq's names
}

// ReplicaMethod is a user's own way to make a standby.
type ReplicaMethod struct {
	Name     string
	Command  string  // the name itself if it was not given
	Params   []Param // every other key, in the order of the file
	KeepData bool    // do not empty the data directory first
	NoParams bool    // do not add scope, role, datadir, connstring
	NoLeader bool    // can be used when there is no leader
}

// Param is one argument --name=value of a user's script.
type Param struct{ Name, Value string }

const defaultPort = 5432

func (r reader) readPostgresql(home string) Postgresql {
	p := Postgresql{
		ProxyAddress: r.text("postgresql.proxy_address"), DataDir: r.text("postgresql.data_dir"),
		ConfigDir: r.text("postgresql.config_dir"), ConfigBaseName: r.text("postgresql.config_base_name"),
		Database: r.text("postgresql.database"), BinDir: r.text("postgresql.bin_dir"),
		PgPass: r.text("postgresql.pgpass"), Authentication: r.readAuthentication(),
		Parameters: r.values("postgresql.parameters"), RecoveryConf: r.values("postgresql.recovery_conf"),
		CustomConf: r.text("postgresql.custom_conf"),
		PgHBA:      r.texts("postgresql.pg_hba"), PgIdent: r.texts("postgresql.pg_ident"),
		PgCtlTimeout: r.seconds("postgresql.pg_ctl_timeout"),
		Callbacks:    map[string]string{}, BinName: map[string]string{},
		PrePromote: r.text("postgresql.pre_promote"), BeforeStop: r.text("postgresql.before_stop"),
		UsePgRewind:                            r.truth("postgresql.use_pg_rewind"),
		RemoveDataDirectoryOnRewindFailure:     r.truth("postgresql.remove_data_directory_on_rewind_failure"),
		RemoveDataDirectoryOnDivergedTimelines: r.truth("postgresql.remove_data_directory_on_diverged_timelines"),
		UseSlots:                               true,
		UseUnixSocket:                          r.truth("postgresql.use_unix_socket"),
		UseUnixSocketRepl:                      r.truth("postgresql.use_unix_socket_repl"),
		KrbSrvName:                             r.text("postgresql.krbsrvname"),
	}
	if p.ConfigDir == "" {
		p.ConfigDir = p.DataDir
	}
	if p.PgPass == "" && home != "" {
		p.PgPass = filepath.Join(home, "pgpass")
	}
	for _, name := range binaries {
		p.BinName[name] = r.text("postgresql.bin_name." + name)
	}
	for _, name := range callbackNames {
		if command := r.text("postgresql.callbacks." + name); command != "" {
			p.Callbacks[name] = command
		}
	}
	r.readAddresses(&p)
	r.readReplicaMethods(&p)
	p.BaseBackup = optionReader{r, "postgresql.basebackup", Warning, forbiddenBackupOptions}.render()
	r.checkCommands()
	return p
}

// forbiddenBackupOptions are pg_basebackup's options that are ours to give.
var forbiddenBackupOptions = []string{"pgdata", "format", "wal-method", "xlog-method", "gzip", "version",
	"dbname", "host", "port", "username", "password"}

func (r reader) readAddresses(p *Postgresql) {
	if v := r.get("postgresql.listen"); v.IsScalar() {
		listen, err := parseListen(v.Text(), defaultPort)
		if err != nil {
			r.fault("postgresql.listen", fmt.Sprintf("is %q: it %v", v.Text(), err))
		}
		p.Listen = listen
		if len(listen.Hosts) > 1 {
			for _, host := range listen.Hosts {
				if host == "*" {
					r.fault("postgresql.listen", "has * beside other addresses")
				}
			}
		}
	}
	p.ConnectAddress = r.hostPort("postgresql.connect_address", defaultPort)
	if r.get("postgresql.connect_address").IsNull() && p.Listen.Port != 0 {
		p.ConnectAddress = HostPort{p.Listen.LocalHost(), p.Listen.Port}
		r.report.add(Problem{At: r.position("postgresql"), Path: "postgresql.connect_address",
			Message:   "is not given; " + p.ConnectAddress.String() + " is published instead",
			Validator: "postgresql.connect_address  is not defined."})
	} else {
		r.notLoopback("postgresql.connect_address", p.ConnectAddress.Host)
	}
	if p.ProxyAddress != "" {
		r.notLoopback("postgresql.proxy_address", r.hostPort("postgresql.proxy_address", defaultPort).Host)
	}
}

func (r reader) readAuthentication() Authentication {
	a := Authentication{
		Superuser:   r.readUser("postgresql.authentication.superuser"),
		Replication: r.readUser("postgresql.authentication.replication"),
		Rewind:      r.readUser("postgresql.authentication.rewind"),
	}
	if !r.get("postgresql.authentication.rewind").Truth() {
		a.Rewind = a.Superuser
	}
	const section = "postgresql.authentication."
	missing := func(severity Severity, user, message string) {
		r.report.add(Problem{At: r.position(section + user), Path: section + user + ".username", Severity: severity,
			Message: message, Validator: section + user + ".username  is not defined."})
	}
	if a.Replication.Username == "" {
		missing(Error, "replication", "is required and not given")
	}
	if a.Superuser.Username == "" {
		missing(Warning, "superuser", "is not given; the user of the system is taken")
	}
	return a
}

func (r reader) readUser(path string) User {
	u := User{Username: r.text(path + ".username"), Password: r.secret(path + ".password"),
		SSLPassword: r.secret(path + ".sslpassword"), Extra: map[string]string{}}
	for _, name := range userKeys {
		if value := r.text(path + "." + name); value != "" && name != "username" && !isSecretUserKey(name) {
			u.Extra[name] = value
		}
	}
	return u
}

func (r reader) readReplicaMethods(p *Postgresql) {
	p.CreateReplicaMethods = r.texts("postgresql.create_replica_methods")
	if r.get("postgresql.create_replica_methods").IsNull() && r.get("postgresql.create_replica_method").Is(KindList) {
		p.CreateReplicaMethods = r.texts("postgresql.create_replica_method")
	}
	p.ReplicaMethods = map[string]ReplicaMethod{}
	for _, name := range p.CreateReplicaMethods {
		if name != "basebackup" {
			p.ReplicaMethods[name] = r.replicaMethod(name)
		}
	}
	for _, f := range r.get("postgresql").Fields() {
		_, known := keyTree().at("postgresql").children[f.Name]
		if !known && !f.Value.Get("command").IsNull() {
			p.ReplicaMethods[f.Name] = r.replicaMethod(f.Name)
		}
	}
}

func (r reader) replicaMethod(name string) ReplicaMethod {
	section := r.root.Get("postgresql", name)
	r.checkCommand("postgresql."+name+".command", section.Get("command"))
	m := ReplicaMethod{Name: name, Command: section.Get("command").Text(),
		KeepData: section.Get("keep_data").Truth(), NoParams: section.Get("no_params").Truth(),
		NoLeader: section.Get("no_leader").Truth(), Params: params(section, "command")}
	if m.Command == "" {
		m.Command = name
	}
	return m
}

// params are the entries of a section as arguments, without some names.
func params(section *Value, except ...string) []Param {
	var out []Param
	for _, f := range section.without(except...).Fields() {
		if f.Value.IsScalar() {
			out = append(out, Param{f.Name, f.Value.Text()})
		}
	}
	return out
}

// commandKeys are the keys whose text is split into words.
var commandKeys = []string{"postgresql.pre_promote", "postgresql.before_stop", "bootstrap.post_bootstrap", "bootstrap.post_init"}

// checkCommands reports commands that cannot be split into words.
func (r reader) checkCommands() {
	paths := commandKeys
	for _, name := range callbackNames {
		paths = append(paths[:len(paths):len(paths)], "postgresql.callbacks."+name)
	}
	for _, path := range paths {
		r.checkCommand(path, r.get(path))
	}
}

func (r reader) checkCommand(path string, v *Value) {
	if !v.Is(KindString) {
		return
	}
	if _, err := Words(strings.TrimSpace(v.text)); err != nil {
		r.fault(path, "cannot be split into words: "+err.Error())
	}
}
