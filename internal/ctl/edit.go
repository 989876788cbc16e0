package ctl

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"matriarch/internal/cluster"
	"matriarch/internal/config"
	"matriarch/internal/dcs"
)

// editing is a change of the dynamic configuration from the options to the store.
type editing struct {
	*session
	out            *results
	quiet, force   bool
	dryRun         bool
	unchecked      bool
	replace, apply string
	settings       []setting
	before         picture
}

func (a *app) editConfig() *cobra.Command {
	var e editing
	var sets, parameters, texts []string
	cmd := &cobra.Command{
		Use:   "edit-config [CLUSTER_NAME]",
		Short: "Change the dynamic configuration, which all members share",
		Long: "Change the dynamic configuration, in an editor or by options. What was changed by somebody else\n" +
			"meanwhile is never overwritten. An empty value of -s and -p deletes the key.",
		Example: "  edit-config -c /etc/patroni.yml\n  edit-config -s ttl=40 -p max_connections=200\n  edit-config --apply changes.yml --force",
		Args:    atMost(1),
	}
	f := cmd.Flags()
	group := configuredGroupFlag(f)
	format := formatFlag(f)
	f.BoolVarP(&e.quiet, "quiet", "q", false, "do not show what changes")
	f.StringArrayVarP(&sets, "set", "s", nil, "set a value by its path, as ttl=40 or postgresql.use_slots=true")
	f.StringArrayVarP(&parameters, "pg", "p", nil, "set a parameter of PostgreSQL; the same as -s postgresql.parameters.NAME=VALUE")
	f.StringArrayVar(&texts, "set-string", nil, "as --set, but the value is text, whatever YAML would make of it")
	f.StringVar(&e.apply, "apply", "", "merge a file into the configuration, - for standard input")
	f.StringVar(&e.replace, "replace", "", "put a file in the configuration's place, - for standard input")
	f.BoolVar(&e.dryRun, "dry-run", false, "show what would change and write nothing")
	f.BoolVar(&e.unchecked, "unchecked", false, "write also what the members would refuse")
	f.BoolVar(&e.force, "force", false, "ask nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, text := range sets {
			e.settings = append(e.settings, setting{text: text})
		}
		for _, text := range texts {
			e.settings = append(e.settings, setting{text: text, stringOnly: true})
		}
		for _, text := range parameters {
			e.settings = append(e.settings, setting{text: text, parameter: true})
		}
		e.out = a.results("edit-config", format.value)
		return a.one(cmd.Context(), args, group, func(s *session, p picture) error {
			e.session, e.before, e.out.cluster = s, p, s.name
			return e.run(cmd.Context())
		})
	}
	return cmd
}

func (e *editing) run(ctx context.Context) error {
	if !e.before.view.Config.Valid {
		return fail("The config key does not exist in the cluster %s", e.name)
	}
	if e.replace == "" && e.apply == "" && len(e.settings) == 0 {
		return e.inEditor(ctx)
	}
	after, err := e.byOptions()
	if err != nil {
		return err
	}
	if err := e.check(after); err != nil {
		return err
	}
	return e.offer(ctx, after)
}

// stored is a copy of the document as the store has it.
func (e *editing) stored() map[string]any {
	return config.FromJSON(e.before.view.Config.Document, "").JSONMap()
}

func (e *editing) byOptions() (map[string]any, error) {
	document := e.stored()
	if e.replace != "" {
		document = map[string]any{}
	}
	for _, file := range []string{e.replace, e.apply} {
		if file == "" {
			continue
		}
		change, err := e.readFile(file)
		if err != nil {
			return nil, err
		}
		patchDocument(document, change)
	}
	for _, s := range e.settings {
		if err := s.apply(document); err != nil {
			return nil, err
		}
	}
	return document, nil
}

func (e *editing) readFile(name string) (map[string]any, error) {
	var text []byte
	var err error
	if name == "-" {
		name = "standard input"
		text, err = io.ReadAll(e.In)
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fail("read %s: %v", name, err)
	}
	document, err := readDocument(text, name)
	if err != nil {
		return nil, fail("%v", err)
	}
	return document, nil
}

// check refuses what the members would refuse, and tells of what they would ignore.
func (e *editing) check(document map[string]any) error {
	faults, notes := checkDocument(document)
	oldFaults, oldNotes := checkDocument(e.stored())
	for _, note := range without(notes, oldNotes) {
		e.warn(note)
	}
	faults = without(faults, oldFaults) // what was wrong before must not stand in the way
	if len(faults) == 0 || e.unchecked {
		return nil
	}
	text := "the configuration would not be usable, nothing was written (--unchecked writes it all the same):"
	for _, f := range faults {
		text += "\n  " + f
	}
	return fail("%s", text)
}

func without(list, known []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, k := range known {
		seen[k] = true
	}
	for _, item := range list {
		if !seen[item] {
			out = append(out, item)
		}
	}
	return out
}

// inEditor lets the operator edit until the text can be used. What was typed is
// never lost: on an error it can be edited again, and else its file stays.
func (e *editing) inEditor(ctx context.Context) error {
	ed, err := e.newEditor(e.name, YAML(e.stored()))
	if err != nil {
		return err
	}
	for {
		text, err := ed.edit(ctx)
		if err != nil {
			ed.done()
			return err
		}
		var document map[string]any
		if len(bytes.TrimSpace(text)) == 0 {
			err = fail("the configuration must not be empty")
		} else {
			document, err = readDocument(text, "what was edited")
		}
		if err == nil {
			err = e.check(document)
		}
		if err == nil {
			ed.done()
			return e.offer(ctx, document)
		}
		e.say("Error: %v\n", err)
		again, asked := e.confirm(ctx, "Edit it again?")
		if asked != nil || !again {
			return fail("nothing was written; what was edited stands in %s", ed.file)
		}
	}
}

// offer shows what would change and writes it when the operator agrees.
func (e *editing) offer(ctx context.Context, after map[string]any) error {
	before := e.stored()
	if bytes.Equal(cluster.EncodeJSON(before), cluster.EncodeJSON(after)) {
		if !e.quiet {
			e.out.line("Not changed\n")
		}
		e.out.add(outcome{Result: resultUnchanged})
		return e.out.end()
	}
	if !e.quiet {
		e.show(ctx, unifiedDiff(YAML(before), YAML(after)))
	}
	switch agreed, err := e.agree(ctx); {
	case err != nil:
		return err
	case !agreed:
		e.out.add(outcome{Result: resultUnchanged, Text: "not applied"})
		e.out.document()
		if e.Strict && !e.dryRun {
			return &failure{code: ExitFailed}
		}
		return nil
	}
	return e.write(ctx, before, after)
}

func (e *editing) show(ctx context.Context, lines []string) {
	if e.colours(e.Out) {
		e.page(ctx, paintDiff(lines))
		return
	}
	for _, line := range lines {
		e.say("%s\n", line)
	}
}

// agree asks. Where standard input was the file, the terminal is asked instead.
func (e *editing) agree(ctx context.Context) (bool, error) {
	switch {
	case e.dryRun:
		e.out.line("Nothing was written\n")
		return false, nil
	case e.force:
		return true, nil
	case e.apply == "-" || e.replace == "-":
		terminal, err := os.Open("/dev/tty")
		if err != nil || !isTerminal(e.Out) {
			e.out.line("Use --force option to apply changes\n")
			return false, nil
		}
		defer terminal.Close()
		e.input = newLines(terminal)
	}
	return e.confirm(ctx, "Apply these changes?")
}

// write puts the document, if the store still has the one that the operator saw.
func (e *editing) write(ctx context.Context, before, after map[string]any) error {
	err := e.commit(ctx, dcs.Txn{
		If:   []dcs.Condition{{Key: dcs.KeyConfig, Modified: e.before.view.Config.Modified}},
		Then: []dcs.Op{{Key: dcs.KeyConfig, Data: cluster.EncodeJSON(after)}},
	})
	switch {
	case errors.Is(err, dcs.ErrConflict):
		if now, err := e.read(ctx); err == nil {
			e.warn("meanwhile somebody else has changed this:")
			for _, line := range unifiedDiff(YAML(before), YAML(now.view.Config.Document)) {
				_, _ = e.Err.Write([]byte(line + "\n"))
			}
		}
		return fail("Config modification aborted due to concurrent changes")
	case err != nil:
		return e.unreachable(ctx, e.config, err)
	}
	e.out.line("Configuration changed\n")
	e.out.add(outcome{Result: resultDone, Text: "Configuration changed"})
	return e.out.end()
}
