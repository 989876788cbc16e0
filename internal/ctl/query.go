package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"matriarch/internal/cluster"
)

// query is the SQL command and where it goes.
type query struct {
	*app
	cluster           []string // the argument, if any
	role, member      string
	sql               string
	dbname, user      string
	password          string
	format, delimiter string
}

// queryConnectTimeout is patronictl's.
const queryConnectTimeout = 5 * time.Second

func (a *app) query() *cobra.Command {
	q := &query{app: a}
	role := &choice{allowed: roles}
	var file string
	var askPassword bool
	var w watch
	cmd := &cobra.Command{
		Use:     "query [CLUSTER_NAME]",
		Short:   "Run SQL on a member chosen by role or name",
		Example: "  query --config-file /etc/patroni.yml -U postgres -c 'select pg_is_in_recovery()'\n  query --config-file /etc/patroni.yml -r replica -f report.sql",
		Args:    atMost(1),
	}
	f := cmd.Flags()
	group := groupFlag(f)
	f.VarP(role, "role", "r", "a member of this role (leader unless given): "+fmt.Sprint(roles))
	f.StringVarP(&q.member, "member", "m", "", "the member of this name")
	f.StringVarP(&q.sql, "command", "c", "", "the SQL")
	f.StringVarP(&file, "file", "f", "", "a file with the SQL, - for standard input")
	f.StringVarP(&q.dbname, "dbname", "d", "", "database")
	f.StringVarP(&q.user, "username", "U", "", "user")
	f.BoolVar(&askPassword, "password", false, "ask for the password")
	f.StringVar(&q.format, "format", "tsv", "output format: pretty, tsv, json, yaml")
	f.StringVar(&q.delimiter, "delimiter", "\t", "between the columns of tsv")
	w.flags(f)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q.role, q.cluster = role.value, args
		if err := q.prepare(cmd, file, askPassword); err != nil {
			return err
		}
		return a.repeat(cmd.Context(), w, false, func() error {
			return a.one(cmd.Context(), q.cluster, group, func(_ *session, p picture) error { return q.round(cmd.Context(), p) })
		})
	}
	return cmd
}

func (q *query) prepare(cmd *cobra.Command, file string, askPassword bool) error {
	if file != "" && file != "-" {
		if _, err := os.Stat(file); err != nil {
			return Usage(cmd, "Invalid value for '--file' / '-f': '%s': No such file or directory", file)
		}
	}
	switch {
	case q.role != "" && q.member != "":
		return fail("--role and --member are mutually exclusive options")
	case q.sql != "" && file != "":
		return fail("--file and --command are mutually exclusive options")
	case q.sql == "" && file == "":
		return fail("You need to specify either --command or --file")
	case file == "-":
		text, err := io.ReadAll(q.In)
		if err != nil {
			return fail("read the SQL: %v", err)
		}
		q.sql = string(text)
	case file != "":
		text, err := os.ReadFile(file)
		if err != nil {
			return fail("read the SQL: %v", err)
		}
		q.sql = string(text)
	}
	if !askPassword {
		return nil
	}
	q.say("Password: ")
	if f, ok := q.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		typed, err := term.ReadPassword(int(f.Fd()))
		q.say("\n")
		if err != nil {
			return errAborted
		}
		q.password = string(typed)
		return nil
	}
	typed, err := q.input.read(cmd.Context())
	q.password = typed
	return err
}

// round runs the SQL once. What went wrong is a row of the output, with exit code
// 0, as patronictl has it; strict callers get the code as well.
func (q *query) round(ctx context.Context, p picture) error {
	columns, rows, err := q.result(ctx, p)
	if err == nil {
		q.print(columns, rows)
		return nil
	}
	text := err.Error()
	if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) && !errors.Is(err, errNoConnection) {
		// The row has the code alone, as patronictl prints it; a person wants the text.
		text = fmt.Sprintf("%s, SQLSTATE: %s", pg.Severity, pg.Code)
		q.warn(fmt.Sprintf("%s: %s", pg.Severity, pg.Message))
	}
	q.print(nil, [][]any{{q.Now().Local().Format(time.DateTime), text}})
	if q.Strict {
		return &failure{code: ExitFailed}
	}
	return nil
}

func (q *query) result(ctx context.Context, p picture) ([]string, [][]any, error) {
	missing := "No connection is available"
	switch {
	case q.member != "":
		missing = fmt.Sprintf("No connection to member %s is available", q.member)
	case q.role != "":
		missing = fmt.Sprintf("No connection to role '%s' is available", q.role)
	}
	var last error
	for _, m := range p.choose(q.role, q.member) {
		conn, err := q.connect(ctx, m)
		if err != nil {
			last = err
			continue
		}
		columns, rows, err := run(ctx, conn, q.sql)
		return columns, rows, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	if last != nil {
		return nil, nil, last
	}
	return nil, nil, errors.New(missing)
}

// errNoConnection marks an error from before the SQL was sent.
var errNoConnection = errors.New("connection to server")

// connectError is a failed connection in libpq's words, on one line.
func connectError(host string, port int, err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) {
		text = pg.Severity + ":  " + pg.Message
	}
	return fmt.Errorf("ERROR, SQLSTATE: %w at %q, port %d failed: %s", errNoConnection, host, port, text)
}

func (q *query) connect(ctx context.Context, m cluster.Member) (*pgx.Conn, error) {
	host, port, ok := m.Address()
	if !ok {
		return nil, fmt.Errorf("member %s has not published its address", m.Name)
	}
	// What is not said here comes from PG* variables and the password file.
	where, err := pgx.ParseConfig("host=" + quoteDSN(host) + " port=" + strconv.Itoa(port) + q.chosen())
	if err != nil {
		return nil, err
	}
	if q.password != "" {
		where.Password = q.password
	}
	where.ConnectTimeout = queryConnectTimeout
	where.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	if where.RuntimeParams["application_name"] == "" {
		where.RuntimeParams["application_name"] = "Patroni ctl"
	}
	conn, err := pgx.ConnectConfig(ctx, where)
	if err != nil {
		return nil, connectError(host, port, err)
	}
	if q.role == "" || q.role == "leader" || q.role == "any" {
		return conn, nil
	}
	var recovery bool
	err = conn.QueryRow(ctx, "SELECT pg_catalog.pg_is_in_recovery()").Scan(&recovery)
	if err == nil && recovery == (q.role != "primary") {
		return conn, nil
	}
	_ = conn.Close(context.WithoutCancel(ctx)) // it is not used
	if err == nil {
		err = fail("No connection to role '%s' is available", q.role)
	}
	return nil, err
}

func (q *query) chosen() string {
	out := ""
	if q.dbname != "" {
		out += " dbname=" + quoteDSN(q.dbname)
	}
	if q.user != "" {
		out += " user=" + quoteDSN(q.user)
	}
	return out
}

// quoteDSN quotes a value of libpq's keyword form.
func quoteDSN(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// run sends all statements at once and keeps the last result.
func run(ctx context.Context, conn *pgx.Conn, sql string) (columns []string, rows [][]any, err error) {
	results := conn.PgConn().Exec(ctx, sql)
	for results.NextResult() {
		reader := results.ResultReader()
		columns, rows = nil, nil
		fields := reader.FieldDescriptions()
		for _, f := range fields {
			columns = append(columns, f.Name)
		}
		for reader.NextRow() {
			var r []any
			for i, raw := range reader.Values() {
				r = append(r, sqlValue(fields[i].DataTypeOID, raw))
			}
			rows = append(rows, r)
		}
		if _, err := reader.Close(); err != nil {
			break // the same error comes from Close below
		}
	}
	if err := results.Close(); err != nil {
		return nil, nil, err
	}
	if columns == nil {
		return nil, nil, errors.New("ERROR, SQLSTATE: no results to fetch")
	}
	return columns, rows, nil
}

// sqlValue keeps booleans and numbers what they are, but for numeric; everything else is text as
// the server prints it.
func sqlValue(oid uint32, raw []byte) any {
	if raw == nil {
		return nil
	}
	const boolOID, int8OID, int2OID, int4OID, float4OID, float8OID = 16, 20, 21, 23, 700, 701 // pg_type.dat
	text := string(raw)
	switch oid {
	case boolOID:
		return text == "t"
	case int8OID, int2OID, int4OID:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	case float4OID, float8OID:
		return floating(text)
	}
	return text
}

// floating is a number with a point, as Python prints it: 1.0, 1e-07. What is no number
// for JSON either (NaN, Infinity) stays text.
func floating(text string) any {
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || math.IsNaN(f) || math.IsInf(f, 0):
		return text
	case !strings.ContainsAny(text, ".e"):
		text += ".0"
	}
	return json.Number(text)
}

// pythonText prints a cell of tsv and pretty.
func pythonText(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return title(strconv.FormatBool(v))
	}
	return fmt.Sprint(v)
}

func (q *query) print(names []string, cells [][]any) {
	var columns []column
	for _, n := range names {
		columns = append(columns, column{name: n, header: n})
	}
	var rows []row
	for _, r := range cells {
		out := row{}
		for i := range columns {
			out[columns[i].name] = r[i]
		}
		rows = append(rows, out)
	}
	switch q.format {
	case "json":
		q.say("%s", jsonRows(columns, rows))
	case "yaml", "yml":
		q.say("%s", yamlRows(rows))
	case "tsv":
		var lines []string
		if names != nil {
			lines = append(lines, strings.Join(names, q.delimiter))
		}
		for _, r := range cells {
			lines = append(lines, strings.Join(pythonTexts(r), q.delimiter))
		}
		q.say("%s\n", strings.Join(lines, "\n"))
	case "pretty":
		t := table{columns: columns}
		for i := len(columns); len(cells) > 0 && i < len(cells[0]); i++ {
			t.columns = append(t.columns, column{header: fmt.Sprintf("Field %d", i+1)})
		}
		for _, r := range cells {
			t.rows = append(t.rows, pythonTexts(r))
		}
		q.say("%s", t.String())
	}
}

func pythonTexts(r []any) []string {
	out := make([]string, len(r))
	for i, v := range r {
		out[i] = pythonText(v)
	}
	return out
}
