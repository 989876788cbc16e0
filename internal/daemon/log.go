package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"matriarch/internal/config"
	"matriarch/internal/logs"
	"matriarch/internal/postgres"
)

// Log is where the agent's log goes.
type Log = logs.Log

// ErrLogStuck says that the log could not be written to its end.
var ErrLogStuck = logs.ErrStuck

// LogCloseTimeout is how long the end of the agent waits for its log.
const LogCloseTimeout = 5 * time.Second

// OpenLog opens the log that the configuration asks for. Close must be called.
func OpenLog(c *config.Config, stderr io.Writer) (*Log, error) {
	return logs.Open(logOptions(c), stderr)
}

func logOptions(local *config.Config) logs.Options {
	c := local.Log
	o := logs.Options{
		JSON: c.Type == "json", Level: level(c.Level), DateFormat: c.DateFormat, StaticFields: c.StaticFields, Member: local.Name,
		Loggers: map[string]slog.Level{}, MaxQueue: c.MaxQueueSize, Stacks: c.Stacks,
		Dir: c.Dir, Mode: c.Mode, Fresh: uint32(postgres.OutsideMode()), FileNum: c.FileNum, FileSize: c.FileSize,
	}
	for _, f := range c.Format {
		o.Format = append(o.Format, logs.Field{Name: f.Name, Output: f.Output})
	}
	for name, text := range c.Loggers {
		o.Loggers[name] = level(text)
	}
	return o
}

func level(name string) slog.Level {
	switch strings.ToUpper(name) {
	case "DEBUG":
		return slog.LevelDebug
	case "WARN", "WARNING":
		return slog.LevelWarn
	case "ERROR":
		return slog.LevelError
	case "FATAL", "CRITICAL":
		return logs.Off
	}
	return slog.LevelInfo
}

// strangeLoggers names the entries of log.loggers that are no part of this program.
func strangeLoggers(c config.Log) []string {
	var out []string
	for name := range c.Loggers {
		if logs.PartOf(name) == "" {
			out = append(out, fmt.Sprintf("log.loggers: %s is no part of this program and has no effect; its parts are %s", name, strings.Join(logs.Parts, ", ")))
		}
	}
	slices.Sort(out)
	return out
}

// reloadLog takes the log's settings from a new configuration.
func (d *Daemon) reloadLog(local *config.Config) {
	if d.options.Journal == nil {
		return
	}
	if err := d.options.Journal.Reload(logOptions(local)); err != nil {
		d.log.Error("the log keeps its settings", "err", err)
	}
}
