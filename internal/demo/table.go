package demo

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// row is what the table shows of one node.
type row struct {
	member, address, role, state, timeline, lag, doing string
}

func (r row) cells() []string {
	return []string{r.member, r.address, r.role, r.state, r.timeline, r.lag, r.doing}
}

var header = row{"member", "address", "role", "state", "TL", "lag", "what it is doing"}

// drawTable is the cluster as text.
func drawTable(rows []row) string {
	widths := make([]int, len(header.cells()))
	for _, r := range append([]row{header}, rows...) {
		for i, cell := range r.cells() {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	for n, r := range append([]row{header}, rows...) {
		for i, cell := range r.cells() {
			fmt.Fprintf(&b, "  %-*s", widths[i], cell)
		}
		b.WriteString("\n")
		if n == 0 {
			total := 0
			for _, w := range widths {
				total += w + 2
			}
			b.WriteString("  " + strings.Repeat("-", total-2) + "\n")
		}
	}
	return b.String()
}

// drawWriter is the client's line below the table.
func drawWriter(p progress, l *layout, now time.Time) string {
	switch {
	case p.acked == 0:
		return "  writer: no row yet\n"
	case !p.broken.IsZero():
		return fmt.Sprintf("  writer: %d rows acknowledged; nobody takes writes for %.1f s\n", p.acked, now.Sub(p.lastAck).Seconds())
	}
	return fmt.Sprintf("  writer: %d rows acknowledged, the last by %s\n", p.acked, l.nodeAt(p.port))
}

// nodeAt is the name of the node whose server has that port.
func (l *layout) nodeAt(port int) string {
	for i := range nodeCount {
		if l.ports.postgres(i) == port {
			return l.name(i)
		}
	}
	return "port " + strconv.Itoa(port)
}

// size is a number of bytes for people.
func size(bytes uint64) string {
	switch {
	case bytes < 10<<10:
		return fmt.Sprintf("%d B", bytes)
	case bytes < 10<<20:
		return fmt.Sprintf("%d kB", bytes>>10)
	}
	return fmt.Sprintf("%d MB", bytes>>20)
}
