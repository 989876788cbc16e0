package ctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"matriarch/internal/config"
)

// editor is the operator's, with a file of the text to edit.
type editor struct {
	*app
	command []string
	file    string
}

// newEditor finds the editor and writes the file. The file stays until done.
func (a *app) newEditor(name, text string) (*editor, error) {
	e := &editor{app: a}
	switch own := a.getenv("EDITOR"); {
	case own != "":
		words, err := config.Words(own) // it may have options
		if err != nil || len(words) == 0 {
			return nil, fail("read EDITOR: %q is not a command", own)
		}
		e.command = words
	case a.inPath("editor") != "":
		e.command = []string{a.inPath("editor")}
	case a.inPath("vi") != "":
		e.command = []string{a.inPath("vi")}
	default:
		return nil, fail("EDITOR environment variable is not set. editor or vi are not available")
	}
	f, err := os.CreateTemp("", strings.ReplaceAll(name, "/", "_")+"-config-*.yaml")
	if err != nil {
		return nil, fail("make a file to edit: %v", err)
	}
	e.file = f.Name()
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		e.done()
		return nil, fail("make a file to edit: %v", err)
	}
	return e, nil
}

// inPath finds a program by this process' PATH, or nothing.
func (a *app) inPath(name string) string {
	for _, dir := range filepath.SplitList(a.getenv("PATH")) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// edit runs the editor and gives what the file holds then.
func (e *editor) edit(ctx context.Context) ([]byte, error) {
	program := e.command[0]
	if !strings.Contains(program, "/") {
		program = e.inPath(program)
	}
	if program == "" {
		return nil, fail("the editor %s is not in PATH", e.command[0])
	}
	err := e.run(ctx, program, append(e.command[1:len(e.command):len(e.command)], e.file)...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fail("Editor exited with return code %d", exit.ExitCode())
	}
	if err != nil {
		return nil, fail("run the editor: %v", err)
	}
	text, err := os.ReadFile(e.file)
	if err != nil {
		return nil, fail("read what was edited: %v", err)
	}
	return text, nil
}

// run gives a program the terminal.
func (a *app) run(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = a.Out, a.Err, a.Environ
	if f, ok := a.In.(*os.File); ok { // anything else would be read to its end, and answers with it
		cmd.Stdin = f
	}
	defer a.Hold()()
	return cmd.Run()
}

// done removes the file.
func (e *editor) done() { _ = os.Remove(e.file) } // a temporary file left behind harms nobody

// page shows lines on a terminal, through a pager where there is one.
func (a *app) page(ctx context.Context, lines []string) {
	text := strings.Join(lines, "\n") + "\n"
	program, args := "", []string(nil)
	if own := a.getenv("PAGER"); own != "" {
		if words, err := config.Words(own); err == nil && len(words) > 0 {
			program, args = words[0], words[1:]
		}
	}
	if program != "" && !strings.Contains(program, "/") {
		program = a.inPath(program)
	}
	for _, name := range []string{"less", "more"} {
		if program == "" {
			program = a.inPath(name)
		}
	}
	if filepath.Base(program) == "less" {
		args = append(args, "-FRX") // a short text does not wait for a key
	}
	if program != "" {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = strings.NewReader(text), a.Out, a.Err, a.Environ
		release := a.Hold()
		err := cmd.Run()
		if release(); err == nil {
			return
		}
	}
	fmt.Fprint(a.Out, text)
}
