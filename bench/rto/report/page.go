package report

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"matriarch/bench/rto/figures"
)

// Heading names a case or a setup for the page.
type Heading struct{ Name, Title string }

// Page writes the page: the figures of the cases, in their order, with the text
// around them.
func Page(f *File, cases []Heading, path string) error {
	p := &page{file: f, cases: cases}
	p.write()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(p.text.String()), 0o644)
}

type page struct {
	file  *File
	cases []Heading
	text  strings.Builder
}

func (p *page) write() {
	p.say(introduction)
	p.say("## Write outage\n\n" + outageText)
	p.table(p.cell(func(r Run) *float64 { return &r.Outage }, seconds))
	p.say("## Two nodes taking writes at once\n\n" + dualText)
	p.table(p.cell(func(r Run) *float64 { return &r.Dual }, seconds))
	p.lateAnswers()
	p.say("## Acknowledged rows that are gone\n\n" + lostText)
	p.table(p.cell(func(r Run) *float64 { lost := float64(r.Lost + r.LostInside); return &lost }, count))
	p.say("## The old primary streams again\n\n" + rejoinText)
	p.table(p.cell(func(r Run) *float64 { return r.Rejoin }, seconds))
	p.say("## An isolated primary's last local write\n\n" + localText)
	p.table(p.cell(func(r Run) *float64 { return r.LastLocal }, seconds))
	p.say("## Every run\n\n" + runsText)
	p.runs()
	p.failures()
	p.say("## Machine and versions\n")
	p.machines()
	p.say(method)
}

func (p *page) say(text string) { p.text.WriteString(strings.TrimRight(text, "\n") + "\n\n") }

// setups are those that were measured, in the order of the file.
func (p *page) setups() []Result {
	var out []Result
	for _, r := range p.file.Results {
		if !slices.ContainsFunc(out, func(o Result) bool { return o.System == r.System && o.Setup == r.Setup }) {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b Result) int { return strings.Compare(b.System, a.System) }) // Patroni first
	return out
}

// table writes a table of cases and setups. Rows without any figure are left out.
func (p *page) table(cell func(Result) string) {
	setups := p.setups()
	head, line := "| case |", "| --- |"
	for _, s := range setups {
		head += " " + title(s.System) + ", " + s.Setup + " |"
		line += " --- |"
	}
	rows := []string{head, line}
	for _, c := range p.cases {
		row, any := "| "+c.Title+" |", false
		for _, s := range setups {
			text := ""
			if r := p.file.Find(s.System, s.Setup, c.Name); r != nil {
				text = cell(*r)
			}
			any = any || text != ""
			row += " " + text + " |"
		}
		if any {
			rows = append(rows, row)
		}
	}
	if len(rows) == 2 {
		rows = []string{"Not measured."}
	}
	p.say(strings.Join(rows, "\n"))
}

// cell is the median of a figure with its spread; empty where there is none.
func (p *page) cell(figure func(Run) *float64, write func(float64) string) func(Result) string {
	return func(r Result) string {
		values := r.values(figure)
		if len(values) == 0 {
			return ""
		}
		low, high := write(slices.Min(values)), write(slices.Max(values))
		text := "**" + write(figures.Median(values, mean)) + "**"
		if low != high {
			text += " (" + low + " – " + high + ")"
		}
		return text
	}
}

// values are a figure of every run that came to its end.
func (r Result) values(figure func(Run) *float64) []float64 {
	var out []float64
	for _, run := range r.Runs {
		if v := figure(run); v != nil && run.Error == "" {
			out = append(out, *v)
		}
	}
	return out
}

func mean(a, b float64) float64 { return (a + b) / 2 }

func title(system string) string { return strings.ToUpper(system[:1]) + system[1:] }

func seconds(ms float64) string {
	switch {
	case ms == 0:
		return "0"
	case ms < 999.5:
		return fmt.Sprintf("%.0f ms", ms)
	case ms < 9995:
		return fmt.Sprintf("%.2f s", ms/1000)
	default:
		return fmt.Sprintf("%.1f s", ms/1000)
	}
}

func count(n float64) string { return fmt.Sprintf("%.0f", n) }

// lateAnswers says where two nodes may have taken writes at once although none was
// proven to.
func (p *page) lateAnswers() {
	var list []string
	for _, r := range p.file.Results {
		for i, run := range r.Runs {
			if run.DualPossible > max(overhang, 1.1*run.Dual) {
				list = append(list, fmt.Sprintf("- %s, %s, %s, run %d: %s proven, at most %s", title(r.System), r.Setup, p.caseTitle(r.Case), i+1,
					seconds(run.Dual), seconds(run.DualPossible)))
			}
		}
	}
	if len(list) > 0 {
		p.say("Where the two bounds are further apart than two commits take:\n\n" + strings.Join(list, "\n"))
	}
}

// overhang is how far the bounds are apart where nothing is the matter, in
// milliseconds: a pause between two rows at either end, and the commits themselves.
// Where the time is long, a tenth of it is no matter either.
const overhang = 60

func (p *page) caseTitle(name string) string {
	for _, c := range p.cases {
		if c.Name == name {
			return c.Title
		}
	}
	return name
}

// runs lists the outage of every run.
func (p *page) runs() {
	p.table(func(r Result) string {
		var out []string
		for _, run := range r.Runs {
			if run.Error != "" {
				out = append(out, "failed")
				continue
			}
			text := fmt.Sprintf("%.2f", run.Outage/1000)
			if run.EtcdLeader {
				text += "*"
			}
			out = append(out, text)
		}
		return strings.Join(out, ", ")
	})
	worst, others, thrown := 0.0, 0.0, 0
	for _, r := range p.file.Results {
		for _, run := range r.Runs {
			worst, others, thrown = max(worst, run.ClientLag), max(others, run.Others), thrown+run.Repeated
		}
	}
	p.say(fmt.Sprintf("In these the client itself was late by %.0f ms at most, and others used %.0f %% of the processors at most; %d runs were "+
		"thrown away and measured again for either.", worst, 100*others, thrown))
}

// failures lists the runs in which something did not come about.
func (p *page) failures() {
	var list []string
	for _, r := range p.file.Results {
		for i, run := range r.Runs {
			if run.Error != "" {
				list = append(list, fmt.Sprintf("- %s, %s, %s, run %d: %s", title(r.System), r.Setup, p.caseTitle(r.Case), i+1, run.Error))
			}
		}
	}
	if len(list) > 0 {
		p.say("Runs that did not come to their end, and are not in the figures:\n\n" + strings.Join(list, "\n"))
	}
}

// machines lists where and with what each result was measured.
func (p *page) machines() {
	where := map[string][]string{} // what a line says → of whom
	var order []string
	for _, r := range p.file.Results {
		var versions []string
		for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
			versions = append(versions, name+": "+r.Versions[name])
		}
		line := fmt.Sprintf("%d cores of %s, %d MB of memory, Linux %s; %s", r.Machine.Cores, r.Machine.CPU, r.Machine.MemoryMB, r.Machine.Kernel, strings.Join(versions, "; "))
		if where[line] == nil {
			order = append(order, line)
		}
		if who := title(r.System) + ", " + r.Setup; !slices.Contains(where[line], who) {
			where[line] = append(where[line], who)
		}
	}
	var list []string
	for _, line := range order {
		list = append(list, "- "+strings.Join(where[line], "; ")+": "+line)
	}
	p.say(strings.Join(list, "\n"))
}
