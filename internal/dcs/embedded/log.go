package embedded

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// bridge passes etcd's log on to ours. etcd is talkative: its notices go to
// debug, and a warning of etcd's (a slow disk, a peer that is away) is a notice
// to us, for what follows from it is warned of by whoever feels it. While the
// member is being stopped, each of its parts complains that another one is gone:
// that is for debug too.
func bridge(log *slog.Logger, stopping *atomic.Bool) *zap.Logger {
	return zap.New(&core{log: log.With("part", "etcd"), stopping: stopping})
}

type core struct {
	log      *slog.Logger
	stopping *atomic.Bool
}

var _ zapcore.Core = (*core)(nil)

func level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelWarn
	case l == zapcore.WarnLevel:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}

// habitual are warnings that etcd prints at every start or at every peer's
// absence, again and again.
var habitual = map[string]bool{
	"simple token is not cryptographically signed":                                         true,
	"Running http and grpc server on single port. This is not recommended for production.": true,
	"prober detected unhealthy status":                                                     true,
	"failed to reach the peer URL":                                                         true,
	"failed to get version":                                                                true,
	"lost TCP streaming connection with remote peer":                                       true,
	"peer became inactive (message send to peer failed)":                                   true,
	"dropped internal Raft message since sending buffer is full":                           true,
	"apply request took too long":                                                          true,
}

func (c *core) Enabled(l zapcore.Level) bool {
	return c.log.Enabled(context.Background(), level(l))
}

func (c *core) With(fields []zapcore.Field) zapcore.Core {
	return &core{log: c.log.With(attributes(fields)...), stopping: c.stopping}
}

func (c *core) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	l := level(e.Level)
	if c.stopping.Load() || habitual[e.Message] && e.Level == zapcore.WarnLevel {
		l = slog.LevelDebug
	}
	c.log.Log(context.Background(), l, e.Message, attributes(fields)...)
	return nil
}

func (c *core) Sync() error { return nil }

func attributes(fields []zapcore.Field) []any {
	m := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(m)
	}
	list := make([]any, 0, len(fields))
	for _, f := range fields {
		if v, ok := m.Fields[f.Key]; ok {
			list = append(list, slog.Any(f.Key, v))
		}
	}
	return list
}
