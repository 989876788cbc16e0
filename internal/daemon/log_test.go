package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"matriarch/internal/config"
)

// TestTheLogIsAsTheFileSays from the keys to the lines.
func TestTheLogIsAsTheFileSays(t *testing.T) {
	dir := t.TempDir()
	c := load(t, file+"log: {type: json, level: WARNING, format: [message, {levelname: severity}], static_fields: {app: db}, dir: "+dir+
		", loggers: {daemon: INFO, urllib3: DEBUG}}\n")
	var stderr bytes.Buffer
	journal, err := OpenLog(c, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	journal.Logger().Info("it works", "n", 1)
	journal.Logger().Debug("not this")
	if err := journal.Close(LogCloseTimeout); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "patroni.log"))
	if want := `{"message": "it works", "severity": "INFO", "app": "db", "member": "node1", "n": 1}` + "\n"; err != nil || string(text) != want || stderr.Len() > 0 {
		t.Errorf("%v\ngot  %swant %s%s", err, text, want, stderr.String())
	}
	if notes := unusedLocal(c); len(notes) != 1 || !strings.Contains(notes[0], "urllib3 is no part of this program") {
		t.Errorf("notes: %q", notes)
	}
	for name, want := range map[string]bool{"CRITICAL": false, "ERROR": true, "WARN": true, "DEBUG": true} {
		c.Log = config.Log{Level: name, MaxQueueSize: 10}
		var out bytes.Buffer
		journal, err := OpenLog(c, &out)
		if err != nil {
			t.Fatal(err)
		}
		journal.Logger().Error("e")
		if err := journal.Close(LogCloseTimeout); err != nil || out.Len() > 0 != want {
			t.Errorf("%s: %v, wrote %q", name, err, out.String())
		}
	}
}
