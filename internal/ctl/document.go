package ctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"matriarch/internal/cluster"
	"matriarch/internal/config"
)

// readDocument reads a dynamic configuration from YAML, by the rules of YAML 1.1
// that patroni.yml is read by. What it means is not looked at here.
func readDocument(text []byte, name string) (map[string]any, error) {
	c, report, err := config.LoadBytes(text, name)
	if c == nil {
		if errors.Is(err, config.ErrNotMap) {
			return nil, fmt.Errorf("%s does not hold a map of keys", name)
		}
		return nil, err
	}
	for _, p := range report.Errors() {
		if strings.Contains(p.Message, "is given twice") {
			return nil, errors.New(p.String())
		}
	}
	return c.Tree().JSONMap(), nil
}

// readValue reads a value of the command line as YAML.
func readValue(text string) (any, error) {
	document := "value:\n  " + strings.ReplaceAll(text, "\n", "\n  ") + "\n"
	c, _, err := config.LoadBytes([]byte(document), "the value")
	if c == nil {
		return nil, err
	}
	return c.Tree().Get("value").JSON(), nil
}

// patchDocument lays a change over a document as PATCH /config does: null deletes,
// maps go into maps, and what prints alike is no change.
func patchDocument(document, change map[string]any) {
	for name, value := range change {
		present, found := document[name]
		inner, isMap := value.(map[string]any)
		outer, intoMap := present.(map[string]any)
		switch {
		case value == nil:
			delete(document, name)
		case found && isMap && intoMap:
			patchDocument(outer, inner)
		case !found || !config.Same(config.FromJSON(present, ""), config.FromJSON(value, "")):
			document[name] = value
		}
	}
}

// setPath sets one value by its path. Nothing deletes it, and the maps that this
// leaves empty. Below postgresql.parameters the rest of the path is one name, for
// names of extensions' parameters have dots.
func setPath(document map[string]any, path []string, value any) {
	setBelow(document, path, value, nil)
}

func setBelow(document map[string]any, path []string, value any, above []string) {
	if slices.Equal(above, []string{"postgresql", "parameters"}) {
		path = []string{strings.Join(path, ".")}
	}
	name := path[0]
	if len(path) == 1 {
		if value == nil {
			delete(document, name)
		} else {
			document[name] = value
		}
		return
	}
	inner, isMap := document[name].(map[string]any)
	if !isMap {
		inner = map[string]any{}
		document[name] = inner
	}
	setBelow(inner, path[1:], value, append(slices.Clone(above), name))
	if len(inner) == 0 {
		delete(document, name)
	}
}

// setting is one of -s, -p and --set-string.
type setting struct {
	text       string
	parameter  bool // of PostgreSQL
	stringOnly bool
}

func (s setting) apply(document map[string]any) error {
	name, text, found := strings.Cut(s.text, "=")
	if !found {
		return fail("Invalid parameter setting %s", s.text)
	}
	name = strings.TrimSpace(name)
	if s.parameter {
		name = "postgresql.parameters." + name
	}
	var value any = text
	if !s.stringOnly {
		var err error
		if value, err = readValue(text); err != nil {
			return fail("read the value of %s: %v", name, err)
		}
		if strings.HasPrefix(name, "postgresql.parameters.") {
			value = parameterValue(text, value)
		}
	}
	setPath(document, strings.Split(name, "."), value)
	return nil
}

// plainNumber is what YAML and PostgreSQL read alike.
var plainNumber = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// parameterValue keeps what YAML takes for a number and PostgreSQL does not read so: 1:30
// is no 90 in a setting of the server, and 0755 is for PostgreSQL to read.
func parameterValue(text string, value any) any {
	text = strings.TrimSpace(text)
	switch value.(type) {
	case int, int64, uint64, float64, json.Number:
		if !plainNumber.MatchString(text) {
			return text
		}
	}
	return value
}

// checkDocument says what is wrong with a dynamic configuration. Faults keep the
// members from using it or a part of it; of notes an operator may want to know.
func checkDocument(document map[string]any) (faults, notes []string) {
	const above = "bootstrap.dcs."
	wrapped := cluster.EncodeJSON(map[string]any{"bootstrap": map[string]any{"dcs": document}})
	_, report, _ := config.LoadBytes(wrapped, "configuration") // JSON is YAML; the report says all
	for _, p := range report.Problems {
		path, below := strings.CutPrefix(p.Path, above)
		if !below {
			continue
		}
		text := strings.ReplaceAll(path+" "+p.Message, above, "")
		if p.Severity == config.Error {
			faults = append(faults, text)
		} else {
			notes = append(notes, text)
		}
	}
	_, more, err := cluster.ReadSettings(document)
	if err != nil && len(faults) == 0 {
		faults = append(faults, err.Error())
	}
	for _, note := range more {
		if !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	return faults, notes
}
