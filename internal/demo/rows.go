package demo

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

func portOf(address string) int {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	port, _ := strconv.Atoi(text) // an address always has a number
	return port
}

// rowIDs reads the numbers of all rows up to one.
func rowIDs(ctx context.Context, conn *pgx.Conn, upTo int64) (map[int64]bool, error) {
	rows, err := conn.Query(ctx, "select id from demo_rows where id <= $1", upTo)
	if err != nil {
		return nil, fmt.Errorf("read the rows: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("read the rows: %w", err)
	}
	set := make(map[int64]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set, nil
}

// countLost reads the rows of the primary and counts the acknowledged ones that are
// missing there.
func (l *layout) countLost(ctx context.Context, acknowledged []int64) (lost int, there map[int64]bool, err error) {
	conn, err := l.connectPrimary(ctx)
	if err != nil {
		return 0, nil, err
	}
	defer closeConn(conn)
	there, err = rowIDs(ctx, conn, last(acknowledged))
	if err != nil {
		return 0, nil, err
	}
	for _, id := range acknowledged {
		if !there[id] {
			lost++
		}
	}
	return lost, there, nil
}

func last(ids []int64) int64 {
	if len(ids) == 0 {
		return 0
	}
	return ids[len(ids)-1]
}

// sameRows waits until the node has replayed the last of the rows, and compares: a
// row that only this node has would mean that it never left its old timeline.
func (l *layout) sameRows(ctx context.Context, n *node, upTo int64, want map[int64]bool) error {
	conn, err := l.connectNode(ctx, n.number)
	if err != nil {
		return fmt.Errorf("compare the rows of %s: %w", n.name, err)
	}
	defer closeConn(conn)
	for {
		have, err := rowIDs(ctx, conn, upTo)
		if err != nil {
			return fmt.Errorf("compare the rows of %s: %w", n.name, err)
		}
		if !have[upTo] {
			pause(ctx, 50*time.Millisecond) // it is replaying; the next query ends with ctx
			continue
		}
		for id := range have {
			if !want[id] {
				return fmt.Errorf("compare the rows of %s: it has row %d, which the primary does not have", n.name, id)
			}
		}
		if len(have) != len(want) {
			return fmt.Errorf("compare the rows of %s: it has %d rows, the primary %d", n.name, len(have), len(want))
		}
		return nil
	}
}
