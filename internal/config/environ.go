package config

import (
	"regexp"
	"slices"
	"strings"
)

// environment holds the variables PATRONI_*, by their names without the prefix.
type environment struct {
	values map[string]string
	names  []string // sorted
	used   map[string]bool
}

const environPrefix = "PATRONI_"

func newEnvironment(environ []string) *environment {
	e := &environment{values: map[string]string{}, used: map[string]bool{}}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if short, ours := strings.CutPrefix(name, environPrefix); ours {
			e.values[short] = value
		}
	}
	for name := range e.values {
		e.names = append(e.names, name)
	}
	slices.Sort(e.names)
	return e
}

func (e *environment) get(name string) string {
	e.used[name] = true
	return e.values[name]
}

// FromEnvironment is what the variables PATRONI_* say, as a tree. It holds passwords.
func FromEnvironment(environ []string) map[string]any {
	return newEnvironment(environ).tree(&Report{}).JSONMap()
}

// ConsumedVariables names those variables of the environment that the configuration
// reads. Patroni removes them from the environment that scripts get, the rest stays.
func ConsumedVariables(environ []string) []string {
	e := newEnvironment(environ)
	e.get("CONFIGURATION")
	e.tree(&Report{})
	var names []string
	for _, name := range e.names {
		if e.used[name] {
			names = append(names, environPrefix+name)
		}
	}
	return names
}

// conversion says how the text of a variable becomes a value.
type conversion uint8

const (
	asText conversion = iota
	asInt             // like PostgreSQL; ignored if invalid
	asBool
	asList   // YAML, brackets optional
	asMap    // YAML, braces optional
	asFormat // text if it has %(word), else a list
)

// variable is one fixed name and the key it sets.
type variable struct {
	name string
	path []string
	as   conversion
}

// fixedVariables is the table of the names that are not built from a store's name.
// An older name of the same key comes before the newer one, which wins.
var fixedVariables = buildFixedVariables()

func buildFixedVariables() []variable {
	var all []variable
	add := func(prefix string, section []string, as conversion, names string) {
		for name := range strings.FieldsSeq(names) {
			path := append(slices.Clone(section), strings.ToLower(name))
			all = append(all, variable{prefix + name, path, as})
		}
	}
	one := func(name string, as conversion, path ...string) { all = append(all, variable{name, path, as}) }

	add("", nil, asText, "NAME NAMESPACE SCOPE THREAD_POOL_SIZE THREAD_STACK_SIZE")
	one("LOGLEVEL", asText, "log", "level")
	one("LOGFORMAT", asFormat, "log", "format")
	one("LOG_DATEFMT", asText, "log", "dateformat")
	log := []string{"log"}
	add("LOG_", log, asText, "TYPE LEVEL TRACEBACK_LEVEL DATEFORMAT DIR")
	add("LOG_", log, asFormat, "FORMAT")
	add("LOG_", log, asMap, "STATIC_FIELDS LOGGERS")
	add("LOG_", log, asInt, "MAX_QUEUE_SIZE FILE_SIZE FILE_NUM MODE")
	add("LOG_", log, asBool, "DEDUPLICATE_HEARTBEAT_LOGS")

	restapi := []string{"restapi"}
	add("RESTAPI_", restapi, asText, "LISTEN CONNECT_ADDRESS CERTFILE KEYFILE KEYFILE_PASSWORD CAFILE CIPHERS VERIFY_CLIENT SERVER_TOKENS")
	add("RESTAPI_", restapi, asMap, "HTTP_EXTRA_HEADERS HTTPS_EXTRA_HEADERS")
	add("RESTAPI_", restapi, asList, "ALLOWLIST")
	add("RESTAPI_", restapi, asBool, "ALLOWLIST_INCLUDE_MEMBERS")
	add("RESTAPI_", restapi, asInt, "REQUEST_QUEUE_SIZE THREAD_POOL_SIZE")
	add("RESTAPI_", []string{"restapi", "authentication"}, asText, "USERNAME PASSWORD")
	add("CTL_", []string{"ctl"}, asText, "CACERT CERTFILE KEYFILE KEYFILE_PASSWORD")
	add("CTL_", []string{"ctl"}, asBool, "INSECURE")
	add("CTL_", []string{"ctl", "authentication"}, asText, "USERNAME PASSWORD")

	add("POSTGRESQL_", []string{"postgresql"}, asText, "LISTEN CONNECT_ADDRESS PROXY_ADDRESS CONFIG_DIR DATA_DIR PGPASS BIN_DIR")
	add("POSTGRESQL_BIN_", []string{"postgresql", "bin_name"}, asText, strings.ToUpper(strings.Join(binaries, " ")))
	for _, user := range []string{"superuser", "replication", "rewind"} {
		add(strings.ToUpper(user)+"_", []string{"postgresql", "authentication", user}, asText, strings.ToUpper(strings.Join(userKeys, " ")))
	}
	add("RAFT_", []string{"raft"}, asText, "DATA_DIR SELF_ADDR BIND_ADDR PASSWORD")
	add("RAFT_", []string{"raft"}, asList, "PARTNER_ADDRS")
	add("CITUS_", []string{"citus"}, asInt, "GROUP")
	add("CITUS_", []string{"citus"}, asText, "DATABASE")
	return all
}

// storeSuffixes are what may follow PATRONI_<store>_.
var storeSuffixes = func() map[string]conversion {
	suffixes := map[string]conversion{"PORT": asInt}
	for as, names := range map[conversion]string{
		asText: "HOST PROTOCOL SRV SRV_SUFFIX URL PROXY CACERT CERT KEY TOKEN DC CONSISTENCY SERVICE_CHECK_INTERVAL " +
			"SERVICE_CHECK_TLS_SERVER_NAME NAMESPACE CONTEXT SCOPE_LABEL ROLE_LABEL POD_IP KEY_PASSWORD USE_SSL " +
			"LEADER_LABEL_VALUE FOLLOWER_LABEL_VALUE STANDBY_LEADER_LABEL_VALUE TMP_ROLE_LABEL GROUP DATABASE",
		asList: "HOSTS PORTS CHECKS SERVICE_TAGS RETRIABLE_HTTP_CODES",
		asMap:  "LABELS SET_ACLS AUTH_DATA BOOTSTRAP_LABELS",
		asBool: "USE_PROXIES REGISTER_SERVICE USE_ENDPOINTS BYPASS_API_SERVICE VERIFY",
	} {
		for name := range strings.FieldsSeq(names) {
			suffixes[name] = as
		}
	}
	return suffixes
}()

// tree is the environment as a configuration, to be laid over the file's.
func (e *environment) tree(report *Report) *Value {
	tree := newMap(Position{Source: "environment"})
	for _, v := range fixedVariables {
		text := e.get(v.name)
		if text == "" {
			continue
		}
		if value := convert(v.name, text, v.as, report); value != nil {
			tree = tree.withPath(value, v.path...)
		}
	}
	for _, name := range e.names {
		store, suffix, _ := strings.Cut(name, "_")
		as, known := storeSuffixes[suffix]
		if !known || store == "" || e.used[name] {
			continue
		}
		if value := convert(name, e.get(name), as, report); value != nil {
			tree = tree.withPath(value, strings.ToLower(store), strings.ToLower(suffix))
		}
	}
	tree = e.etcdUser(tree)
	e.warnUnknown(report)
	return tree
}

// etcdUser adds user and password of etcd, which Patroni takes only where another
// variable gave the section.
func (e *environment) etcdUser(tree *Value) *Value {
	for _, store := range []string{"ETCD", "ETCD3"} {
		section := strings.ToLower(store)
		given := tree.Get(section).Is(KindMap)
		for _, name := range []string{"USERNAME", "PASSWORD"} {
			text := e.get(store + "_" + name)
			if given && text != "" {
				at := variablePosition(store + "_" + name)
				tree = tree.withPath(newString(text, at), section, strings.ToLower(name))
			}
		}
	}
	return tree
}

// warnUnknown tells of variables that look like slips of known ones. Others may be
// meant for scripts.
func (e *environment) warnUnknown(report *Report) {
	var known []string
	for _, v := range fixedVariables {
		known = append(known, v.name)
	}
	for _, name := range e.names {
		if e.used[name] || name == "CONFIGURATION" {
			continue
		}
		if near := nearest(name, known); near != "" && editDistance(name, near) <= 2 {
			report.warn(variablePosition(name), "", "is not read; did you mean "+environPrefix+near+"?")
		}
	}
}

func variablePosition(name string) Position {
	return Position{Source: "environment variable " + environPrefix + name}
}

var formatField = regexp.MustCompile(`%\(\w+\)`)

// convert gives nil, with a warning, for a text that the variable cannot have.
func convert(name, text string, as conversion, report *Report) *Value {
	at := variablePosition(name)
	switch as {
	case asInt:
		if n, ok := ParseInt(text, ""); ok {
			return newInt(n, at)
		}
		report.warn(at, "", "is not an integer and is ignored")
		return nil
	case asBool:
		if b, ok := ParseBool(text); ok {
			return newBool(b, at)
		}
		report.warn(at, "", "is not a boolean and is ignored")
		return nil
	case asList:
		return convertYAML(at, text, "[", "]", KindList, report)
	case asMap:
		return convertYAML(at, text, "{", "}", KindMap, report)
	case asFormat:
		if !formatField.MatchString(text) {
			return convertYAML(at, text, "[", "]", KindList, report)
		}
	}
	return newString(text, at)
}

func convertYAML(at Position, text, open, end string, want Kind, report *Report) *Value {
	if trimmed := strings.TrimSpace(text); !strings.HasPrefix(trimmed, open) {
		text = open + text + end
	}
	value, err := parse([]byte(text), at.Source, report)
	if err != nil || !value.Is(want) {
		report.warn(at, "", "is not "+want.String()+" and is ignored")
		return nil
	}
	return value
}

// withPath gives a map like v that has this value at the path.
func (v *Value) withPath(value *Value, path ...string) *Value {
	if len(path) == 0 {
		return value.over(v)
	}
	below := v.Get(path[0])
	if len(path) > 1 && !below.Is(KindMap) {
		below = newMap(value.At)
	}
	return v.with(path[0], below.withPath(value, path[1:]...))
}
