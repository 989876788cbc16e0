package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Log says what is logged and where to.
type Log struct {
	Type         string // plain or json
	Level        string // DEBUG INFO WARN WARNING ERROR FATAL CRITICAL
	Stacks       bool   // errors carry the stack of whoever logs them: at level DEBUG, whatever traceback_level says
	Format       []LogField
	DateFormat   string            // strftime; empty for YYYY-mm-dd HH:MM:SS,mmm
	StaticFields map[string]any    // json only
	Loggers      map[string]string // level by component
	MaxQueueSize int               // records
	Dir          string            // empty for stderr
	Mode         uint32            // 0 for 0666 less the umask
	FileNum      int
	FileSize     int64 // bytes
	Deduplicate  bool
}

// LogField is one field of a json line, or the whole layout of a plain one.
type LogField struct {
	Name   string // the field, or the text with %(field)s
	Output string // its name in the line, if it is another
}

func (r reader) readLog() Log {
	level := r.text("log.level")
	l := Log{
		Type: r.text("log.type"), Level: level, Stacks: level == "DEBUG",
		DateFormat: r.text("log.dateformat"), StaticFields: r.get("log.static_fields").JSONMap(),
		Loggers: r.values("log.loggers"), MaxQueueSize: int(r.number("log.max_queue_size")),
		Dir: r.text("log.dir"), Mode: uint32(r.number("log.mode")),
		FileNum: int(r.number("log.file_num")), FileSize: r.number("log.file_size"),
	}
	for _, f := range r.get("log.loggers").Fields() {
		if f.Value.IsScalar() && !slices.Contains(logLevels, f.Value.Text()) {
			r.report.error(f.At, "log.loggers."+f.Name, "is not one of "+strings.Join(logLevels, ", "))
		}
	}
	l.Format = r.readFormat()
	return l
}

// logFields are those that log.format can name: Python's logging has them.
var logFields = strings.Fields(`asctime created exc_info filename funcName levelname levelno lineno message module
	msecs msg name pathname process processName relativeCreated taskName thread threadName`)

func (r reader) readFormat() []LogField {
	v := r.get("log.format")
	known := func(name string) {
		if !slices.Contains(logFields, name) {
			r.report.warn(v.Position(), "log.format", "names a field that no line has: "+name)
		}
	}
	if v.Is(KindList) && r.text("log.type") == "plain" {
		r.warn("log.format", "is a list, which only log.type json takes; the default is used")
		return []LogField{{Name: keyOf("log.format").Default}}
	}
	if !v.Is(KindList) || len(v.items) == 0 {
		for _, field := range formatField.FindAllString(r.text("log.format"), -1) {
			known(strings.Trim(field, "%()"))
		}
		return []LogField{{Name: r.text("log.format")}}
	}
	var fields []LogField
	defer func() {
		for _, f := range fields {
			known(f.Name)
		}
	}()
	for _, item := range v.items {
		switch {
		case item.Is(KindString):
			fields = append(fields, LogField{Name: item.text})
		case item.Is(KindMap) && len(item.fields) == 1:
			f := item.fields[0]
			fields = append(fields, LogField{Name: f.Name, Output: f.Value.Text()})
		default:
			r.report.warn(item.Position(), "log.format", "has an item that is neither a field nor one field: name; it is skipped")
		}
	}
	return fields
}

// RestAPI is the HTTP interface of the member.
type RestAPI struct {
	Listen         Listen
	ConnectAddress HostPort // Listen if it was not given
	Credentials
	CertFile, KeyFile       string // https if there is a certificate
	KeyFilePassword         Secret
	CAFile, Ciphers         string
	VerifyClient            string   // none, optional, required
	Allowlist               []string // nil for everyone
	AllowlistIncludeMembers bool
	HTTPExtraHeaders        map[string]string
	HTTPSExtraHeaders       map[string]string
	ServerTokens            string // Original, Minimal, ProductOnly
}

// URL is where other members reach the interface, as published in the store.
func (a RestAPI) URL() string {
	scheme := "http"
	if a.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + a.ConnectAddress.String() + "/patroni"
}

// Credentials are a user and password; none if the user is empty.
type Credentials struct {
	Username string
	Password Secret
}

func (r reader) readRestAPI() RestAPI {
	a := RestAPI{
		ConnectAddress: r.hostPort("restapi.connect_address", 0),
		Credentials:    r.readCredentials("restapi.authentication"),
		CertFile:       r.text("restapi.certfile"), KeyFile: r.text("restapi.keyfile"),
		KeyFilePassword: r.secret("restapi.keyfile_password"),
		CAFile:          r.text("restapi.cafile"), Ciphers: r.text("restapi.ciphers"),
		VerifyClient: r.text("restapi.verify_client"), Allowlist: r.texts("restapi.allowlist"),
		AllowlistIncludeMembers: r.truth("restapi.allowlist_include_members"),
		HTTPExtraHeaders:        r.values("restapi.http_extra_headers"),
		HTTPSExtraHeaders:       r.values("restapi.https_extra_headers"),
		ServerTokens:            r.text("restapi.server_tokens"),
	}
	if v := r.get("restapi.listen"); v.IsScalar() {
		listen, err := parseHostPort(v.Text(), 0)
		if err != nil {
			r.fault("restapi.listen", fmt.Sprintf("is %q, expected <HOST>:<PORT>: it %v", v.Text(), err))
		}
		a.Listen = Listen{Hosts: []string{listen.Host}, Port: listen.Port}
	}
	if r.get("restapi.connect_address").IsNull() && a.Listen.Port != 0 {
		a.ConnectAddress = HostPort{a.Listen.Hosts[0], a.Listen.Port}
		r.report.add(Problem{At: r.position("restapi"), Path: "restapi.connect_address",
			Message:   "is not given; restapi.listen is published instead",
			Validator: "restapi.connect_address  is not defined."})
	} else {
		r.notLoopback("restapi.connect_address", a.ConnectAddress.Host)
	}
	if a.CertFile == "" && (a.KeyFile != "" || a.VerifyClient != "none") {
		r.warn("restapi", "has TLS settings but no certfile, so it speaks plain http")
	}
	return a
}

// readCredentials takes both or neither.
func (r reader) readCredentials(path string) Credentials {
	c := Credentials{Username: r.text(path + ".username"), Password: r.secret(path + ".password")}
	for _, name := range []string{"username", "password"} {
		missing := r.get(path + "." + name).IsNull()
		if missing && r.get(path).Truth() {
			r.report.add(Problem{At: r.position(path), Path: path + "." + name, Severity: Error,
				Message: "is missing: both username and password are needed", Validator: path + "." + name + "  is not defined."})
		}
	}
	return c
}

// Ctl is how other members' HTTP interfaces are called.
type Ctl struct {
	Credentials
	Insecure          bool
	CACert            string
	CertFile, KeyFile string
	KeyFilePassword   Secret
}

func (r reader) readCtl() Ctl {
	c := Ctl{
		Credentials: r.readCredentials("ctl.authentication"), Insecure: r.truth("ctl.insecure"),
		CACert: r.text("ctl.cacert"), CertFile: r.text("ctl.certfile"), KeyFile: r.text("ctl.keyfile"),
		KeyFilePassword: r.secret("ctl.keyfile_password"),
	}
	if c.Username == "" {
		c.Credentials = Credentials{r.text("restapi.authentication.username"), r.secret("restapi.authentication.password")}
	}
	if c.CACert == "" {
		c.CACert = r.text("restapi.cafile")
	}
	return c
}

// Watchdog is the kernel's device that resets a hung machine.
type Watchdog struct {
	Mode         string // off, automatic, required
	Device       string
	SafetyMargin time.Duration // negative: half of ttl
	Driver       string
}

func (r reader) readWatchdog() Watchdog {
	w := Watchdog{Device: r.text("watchdog.device"), Driver: r.text("watchdog.driver"),
		SafetyMargin: r.seconds("watchdog.safety_margin")}
	switch mode := r.get("watchdog.mode"); r.text("watchdog.mode") {
	case "off", "false", "disable", "disabled":
		w.Mode = "off"
	case "required", "require":
		w.Mode = "required"
	default:
		w.Mode = "automatic"
		if mode.IsScalar() && !slices.Contains([]string{"auto", "automatic"}, strings.ToLower(mode.Text())) {
			w.Mode = "off" // Patroni turns it off when it does not understand the mode
		}
	}
	return w
}
