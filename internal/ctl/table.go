package ctl

import (
	"strings"
)

// column of a table. Its name is the key in json, yaml and tsv; its header is
// what the pretty table shows.
type column struct {
	name, header string
	right        bool
}

// row holds the cells by column name: text, a number, or a map of tags.
type row map[string]any

// table is a set of rows in patronictl's pretty layout.
type table struct {
	title   string
	columns []column
	rows    [][]string
	paint   func(row, column int) string // an ANSI colour or nothing; may be nil
}

func (t table) String() string {
	widths := make([]int, len(t.columns))
	ruled := false // a rule after every row, once any cell has two lines
	for i, c := range t.columns {
		widths[i] = displayWidth(c.header)
		for _, r := range t.rows {
			for line := range strings.SplitSeq(r[i], "\n") {
				widths[i] = max(widths[i], displayWidth(line))
			}
			ruled = ruled || strings.Contains(r[i], "\n")
		}
	}
	var rule strings.Builder
	rule.WriteString("+")
	for _, w := range widths {
		rule.WriteString(strings.Repeat("-", w+2) + "+")
	}
	var out strings.Builder
	out.WriteString(t.top(rule.String()) + "\n")
	headers := make([]string, len(t.columns))
	for i, c := range t.columns {
		headers[i] = c.header
	}
	t.write(&out, widths, headers, -1)
	out.WriteString(rule.String() + "\n")
	for i, r := range t.rows {
		t.write(&out, widths, r, i)
		if ruled && i < len(t.rows)-1 {
			out.WriteString(rule.String() + "\n")
		}
	}
	out.WriteString(rule.String() + "\n")
	return out.String()
}

// top writes the title into the upper rule, from its second character on.
func (t table) top(rule string) string {
	if t.title == "" {
		return rule
	}
	title := []rune(" " + t.title + " ")
	title = title[:min(len(title), len(rule)-2)]
	rest := max(1+displayWidth(string(title)), 1)
	if rest >= len(rule) {
		return rule[:1] + string(title) + rule[len(rule)-1:]
	}
	return rule[:1] + string(title) + rule[rest:]
}

func (t table) write(out *strings.Builder, widths []int, cells []string, number int) {
	lines := make([][]string, len(cells))
	height := 1
	for i, c := range cells {
		lines[i] = strings.Split(c, "\n")
		height = max(height, len(lines[i]))
	}
	for h := range height {
		out.WriteString("|")
		for i := range cells {
			text := ""
			if h < len(lines[i]) {
				text = lines[i][h]
			}
			pad := strings.Repeat(" ", widths[i]-displayWidth(text))
			if t.paint != nil && number >= 0 && text != "" {
				if colour := t.paint(number, i); colour != "" {
					text = colour + text + "\x1b[0m"
				}
			}
			if t.columns[i].right {
				text = pad + text
			} else {
				text += pad
			}
			out.WriteString(" " + text + " |")
		}
		out.WriteString("\n")
	}
}

// displayWidth is the width on a terminal: East Asian wide characters take two
// cells, combining ones none.
func displayWidth(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case r >= 0x300 && r <= 0x36f, r == 0x200b, r == 0x200d, r == 0xfe0f:
		case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
			r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff:
			n += 2
		default:
			n++
		}
	}
	return n
}
