package config

import "matriarch/internal/postgres/conf"

// Bootstrap says how a new cluster is made.
type Bootstrap struct {
	// Present tells that there is a bootstrap section; a node without one never
	// makes a new cluster.
	Present bool
	// DCS is the first dynamic configuration, its timing adjusted as Patroni adjusts
	// it, ready for encoding/json.
	DCS           map[string]any
	Method        string        // initdb, or the name of Custom
	Custom        *CustomMethod // nil for initdb
	Initdb        []string      // as arguments: --encoding=UTF8
	PgHBA         []string
	PostBootstrap string
}

// CustomMethod makes a cluster by a user's script, from a backup for example.
type CustomMethod struct {
	Name                     string
	Command                  string
	Params                   []Param // in the order of the file
	NoParams                 bool    // do not add scope and datadir
	KeepExistingRecoveryConf bool
	RecoveryConf             map[string]string // nil if it is not given
}

// forbiddenInitdbOptions are initdb's options that are ours to give.
var forbiddenInitdbOptions = []string{"pgdata", "nosync", "pwfile", "sync-only", "version"}

func (r reader) readBootstrap() Bootstrap {
	section := r.get("bootstrap")
	b := Bootstrap{
		Present: section.Is(KindMap), Method: "initdb", DCS: map[string]any{},
		PgHBA: r.texts("bootstrap.pg_hba"), PostBootstrap: r.text("bootstrap.post_bootstrap"),
		Initdb: optionReader{r, "bootstrap.initdb", Error, forbiddenInitdbOptions}.render(),
	}
	if b.PostBootstrap == "" {
		b.PostBootstrap = r.text("bootstrap.post_init")
	}
	if !r.get("bootstrap.users").IsNull() {
		r.warn("bootstrap.users", "is ignored: users are not created since version 4.0; use post_bootstrap")
	}
	r.readCustomMethod(&b)
	if dcs := r.get("bootstrap.dcs"); dcs.Is(KindMap) {
		inner := reader{root: dcs, report: &Report{}}
		adjusted, _ := inner.adjustTiming()
		for _, p := range inner.report.Problems {
			p.Path = dcsPath + p.Path
			if p.Validator != "" {
				p.Validator = dcsPath + p.Validator
			}
			r.report.add(p)
		}
		r.checkDynamic(dcs)
		b.DCS = adjusted.JSONMap()
	}
	return b
}

func (r reader) readCustomMethod(b *Bootstrap) {
	name := r.text("bootstrap.method")
	if name == "initdb" {
		return
	}
	section := r.root.Get("bootstrap", name)
	command := section.Get("command")
	if command.IsNull() {
		r.warn("bootstrap.method", "is "+name+", but bootstrap."+name+" has no command; initdb is used")
		return
	}
	r.checkCommand("bootstrap."+name+".command", command)
	m := &CustomMethod{Name: name, Command: command.Text(), NoParams: section.Get("no_params").Truth(),
		KeepExistingRecoveryConf: section.Get("keep_existing_recovery_conf").Truth(),
		Params:                   params(section, "command", "no_params", "keep_existing_recovery_conf", "recovery_conf", "scope", "datadir")}
	if section.Get("recovery_conf").Is(KindMap) {
		m.RecoveryConf = r.values("bootstrap." + name + ".recovery_conf")
	}
	b.Method, b.Custom = name, m
}

// checkDynamic looks at what spans several keys of the first dynamic configuration.
func (r reader) checkDynamic(dcs *Value) {
	for _, f := range dcs.Get("postgresql", "parameters").Fields() {
		path := dcsPath + "postgresql.parameters." + f.Name
		if c, is := conf.FindControlled(f.Name); is && f.Value.IsScalar() {
			if _, ok := accept(c, f.Value); !ok {
				r.report.warn(f.At, path, refusal(c, f.Value))
			}
		}
	}
	standby := dcs.Get("standby_cluster")
	if standby.Truth() && !standby.Get("host").Truth() && !standby.Get("port").Truth() && !standby.Get("restore_command").Truth() {
		r.report.error(standby.At, dcsPath+"standby_cluster", "needs one of host, port, restore_command")
	} else if standby.Truth() {
		r.report.warn(standby.At, dcsPath+"standby_cluster", "is not supported yet: in a cluster that follows another one nobody is promoted")
	}
}

// namedMethods are the names that other keys give to sections of their own.
func namedMethods(tree *Value) map[string]bool {
	names := map[string]bool{}
	for _, path := range [][]string{
		{"postgresql", "create_replica_methods"}, {"postgresql", "create_replica_method"},
		{"bootstrap", "dcs", "postgresql", "create_replica_methods"},
		{"bootstrap", "dcs", "standby_cluster", "create_replica_methods"},
	} {
		for _, item := range tree.Get(path...).Items() {
			names[item.Text()] = true
		}
	}
	if method := tree.Get("bootstrap", "method"); method.Is(KindString) {
		names[method.text] = true
	}
	return names
}

// convertOldShapes brings the shapes of early Patroni versions into today's: the
// users beside authentication, and the name below postgresql.
func convertOldShapes(tree *Value) *Value {
	pg := tree.Get("postgresql")
	if !pg.Is(KindMap) {
		return tree
	}
	if tree.Get("name").IsNull() && pg.Get("name").IsScalar() {
		tree = tree.with("name", pg.Get("name"))
	}
	rewind := pg.Get("pg_rewind")
	auth := pg.Get("authentication")
	if auth.IsNull() && (pg.Get("replication").Is(KindMap) || pg.Get("superuser").Is(KindMap)) {
		auth = newMap(pg.At)
		for _, user := range []string{"replication", "superuser"} {
			if v := pg.Get(user); v.Is(KindMap) {
				auth = auth.with(user, v)
			}
		}
		pg = pg.with("use_pg_rewind", newBool(rewind.Is(KindMap), pg.At))
	}
	if auth.Is(KindMap) && auth.Get("superuser").IsNull() && rewind.Is(KindMap) {
		auth = auth.with("superuser", rewind)
	}
	if auth.Is(KindMap) {
		pg = pg.with("authentication", auth)
	}
	return tree.with("postgresql", pg)
}
