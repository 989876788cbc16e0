package traffic

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Row is one row as a server holds it.
type Row struct {
	ID     int
	Server string
}

// Verdict is what became of the rows.
type Verdict struct {
	Acknowledged int
	Unknown      int   // attempts without an answer
	Lost         []int // acknowledged, and not there
	Strange      []Row // there, and never written so
}

func (v Verdict) String() string {
	return fmt.Sprintf("%d rows acknowledged, %d without an answer, %d lost %v, %d strange", v.Acknowledged, v.Unknown, len(v.Lost), v.Lost, len(v.Strange))
}

// Judge compares what a server holds with the first n attempts. While the writer
// runs, n is how many there were before the server was read.
func (w *Writer) Judge(rows []Row, n int) Verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	var v Verdict
	there := map[int]string{}
	for _, r := range rows {
		there[r.ID] = r.Server
		if r.ID < 0 || r.ID >= len(w.rows) || w.rows[r.ID].outcome == Acknowledged && w.rows[r.ID].server != r.Server {
			v.Strange = append(v.Strange, r)
		}
	}
	for id, a := range w.rows[:n] {
		switch _, present := there[id]; {
		case a.outcome == Unknown:
			v.Unknown++
		default:
			v.Acknowledged++
			if !present {
				v.Lost = append(v.Lost, id)
			}
		}
	}
	return v
}

// Rows reads the table.
func Rows(ctx context.Context, conn *pgx.Conn) ([]Row, error) {
	got, err := conn.Query(ctx, "select id, server from "+Table+" order by id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(got, pgx.RowToStructByPos[Row])
}

// Difference names the rows that one server has and the other has not, at most
// ten of each; empty when there are none.
func Difference(a, b []Row) string {
	var out []string
	for _, side := range []struct {
		name      string
		has, lack []Row
	}{{"only the first has", a, b}, {"only the second has", b, a}} {
		lack := map[Row]bool{}
		for _, r := range side.lack {
			lack[r] = true
		}
		var extra []string
		count := 0
		for _, r := range side.has {
			if !lack[r] {
				if count++; count <= 10 {
					extra = append(extra, fmt.Sprintf("%d by %s", r.ID, r.Server))
				}
			}
		}
		if count > 0 {
			out = append(out, fmt.Sprintf("%s %d rows: %s", side.name, count, strings.Join(extra, ", ")))
		}
	}
	return strings.Join(out, "; ")
}
