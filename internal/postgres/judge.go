package postgres

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"matriarch/internal/postgres/conf"
)

// verdict remembers what the server said about a set of settings.
type verdict struct {
	asked    string // the file's text as it was put to the server
	settings map[string]string
	faults   []string // what was taken out or changed, as it was logged
}

// judgeRounds bounds the dialogue: the server names unknown settings first, bad
// values next, and a clamped one could only then collide with another.
const judgeRounds = 6

// judge takes settings out of the file that this PostgreSQL would refuse, and
// brings numbers into its range, so that a slip in one parameter does not keep
// the server down. PostgreSQL itself is the judge: postgres -C reads the file as
// a start would, and needs no table of every version's parameters here. It costs
// a fork of about 15 ms, and only when the settings have changed.
func (s *Server) judge(ctx context.Context, cfg Config, main *conf.Main) {
	question := *main
	question.Recovery = nil
	asked := question.Render()
	s.mu.Lock()
	known := s.judged
	s.mu.Unlock()
	if known.asked == asked {
		main.Settings = maps.Clone(known.settings)
		return
	}
	s.found = nil
	for range judgeRounds {
		said, path, err := s.ask(ctx, cfg, question.Render())
		if err != nil {
			s.log.Warn("settings could not be checked", "err", err)
			return
		}
		if !s.heed(said, path, question.Settings) {
			break
		}
	}
	s.mu.Lock()
	s.judged = verdict{asked, maps.Clone(question.Settings), s.found}
	s.mu.Unlock()
	main.Settings = question.Settings
}

// ask puts a file to the server. The file lies beside the real one, so that the
// include in it finds the same base.
func (s *Server) ask(ctx context.Context, cfg Config, text string) (said, path string, err error) {
	temp, err := os.CreateTemp(cfg.configDir(), cfg.baseName()+".conf.check")
	if err != nil {
		return "", "", err
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(text)
	if errClose := temp.Close(); err == nil {
		err = errClose
	}
	if err != nil {
		return "", "", err
	}
	run := s.tool(ctx, "postgres", "-D", cfg.DataDir, "-C", "port", "--config-file="+temp.Name(),
		"-c", "lc_messages=C", "-c", "log_min_messages=warning", "-c", "log_error_verbosity=default")
	run.env = cLocale
	var out, errs bytes.Buffer
	if err := run.run(&out, &errs); err != nil && ctx.Err() != nil {
		return "", "", err
	}
	return errs.String(), filepath.Base(temp.Name()), nil
}

// The server's words in the C locale (guc.c, guc-file.l; the same from 13 to 18,
// but for units, which came into the range's text with 17).
var (
	sayUnknown = regexp.MustCompile(`unrecognized configuration parameter "([^"]+)" in file "([^"]+)"`)
	sayInvalid = regexp.MustCompile(`(?:invalid value for parameter|parameter) "([^"]+)"(?::| requires | cannot be changed)`)
	sayRange   = regexp.MustCompile(`(\S+?)(?: ?[a-zA-Z]+)? is outside the valid range for parameter "([^"]+)" \((\S+)(?: [a-zA-Z]+)? \.\. (\S+?)(?: [a-zA-Z]+)?\)`)
)

// heed changes the settings as the server's words ask for and reports whether it
// changed any. Faults in an included file are left to their owner.
func (s *Server) heed(said, path string, settings map[string]string) bool {
	changed := false
	for line := range strings.Lines(said) {
		if m := sayRange.FindStringSubmatch(line); m != nil {
			changed = s.clamp(m[2], m[1], m[3], m[4], settings) || changed
		} else if m := sayUnknown.FindStringSubmatch(line); m != nil {
			if filepath.Base(m[2]) == path {
				changed = s.drop(m[1], "Removing unexpected parameter=%s value=%s from the config", settings) || changed
			}
		} else if m := sayInvalid.FindStringSubmatch(line); m != nil {
			kind := ""
			if strings.Contains(line, "requires a Boolean value") {
				kind = "bool "
			}
			changed = s.drop(m[1], "Removing "+kind+"parameter=%s from the config due to the invalid value=%s", settings) || changed
		}
	}
	return changed
}

// drop takes a setting out, and says so in the words that tools look for in Patroni's
// log (compat/config.md §5.3).
func (s *Server) drop(name, words string, settings map[string]string) bool {
	for key, value := range settings {
		if strings.EqualFold(key, name) {
			s.fault(fmt.Sprintf(words, key, value))
			delete(settings, key)
			return true
		}
	}
	return false
}

func (s *Server) fault(text string) {
	s.log.Warn(text)
	s.found = append(s.found, text)
}

// Faults are those of the settings that were written last: what was taken out of the
// file, or changed, since this PostgreSQL would not have it.
func (s *Server) Faults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.warned, s.judged.faults)
}

// clamp sets the nearer end of the range, a bare number in the base unit.
func (s *Server) clamp(name, got, low, high string, settings map[string]string) bool {
	for key, value := range settings {
		if !strings.EqualFold(key, name) {
			continue
		}
		limit := high
		if below(got, low) {
			limit = low
		}
		s.fault(fmt.Sprintf("Value=%s of parameter=%s is out of range, the limit %s is used", value, key, limit))
		settings[key] = limit
		return value != limit
	}
	return false
}

func below(a, b string) bool {
	x, okX := conf.ParseReal(a)
	y, okY := conf.ParseReal(b)
	return okX && okY && x < y
}
