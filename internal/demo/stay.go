package demo

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// restartAfter is when an agent that a person has killed is started again, as an
// init system would (RestartSec= in packaging/).
const restartAfter = 5 * time.Second

// stay keeps the cluster for the person who wants to try it. Whatever they kill is
// started again.
func (s *story) stay(ctx context.Context) error {
	s.demo.told.Store(true)
	s.demo.screen.Raw(s.demo.layout.howTo(s.demo.nodes[0].name))
	for {
		select {
		case n := <-s.demo.fallen:
			s.demo.tell("the agent of %s has ended; it is started again in %v", n.name, restartAfter)
			pause(ctx, restartAfter)
			if ctx.Err() != nil {
				return nil
			}
			if err := s.start(n); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// program is ourselves, as a person can call it from anywhere.
func program() string {
	if path, err := os.Executable(); err == nil {
		return path
	}
	return "matriarch"
}

// howTo tells how to reach the cluster. The password is in a file, not on the
// screen.
func (l *layout) howTo(name string) string {
	hosts, ports := l.hostsAndPorts()
	var pairs, apis []string
	for i := range nodeCount {
		pairs = append(pairs, fmt.Sprintf("%s:%d", host, l.ports.postgres(i)))
		apis = append(apis, fmt.Sprintf("  curl http://%s:%d/cluster", host, l.ports.api(i)))
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("")
	line("The cluster runs on. The primary, whichever node it is:")
	line("  PGPASSFILE=%s psql 'host=%s port=%s user=postgres target_session_attrs=read-write'", l.pgpass(), hosts, ports)
	line("  postgresql://postgres@%s/postgres?target_session_attrs=read-write", strings.Join(pairs, ","))
	line("One node:")
	for i := range nodeCount {
		line("  PGPASSFILE=%s psql -h %s -p %d -U postgres    # %s", l.pgpass(), host, l.ports.postgres(i), l.name(i))
	}
	line("The REST API (/cluster, /primary, /replica, /health, /patroni):")
	for _, api := range apis {
		line("%s", api)
	}
	line("The operator's commands:")
	line("  %s list -c %s", program(), l.config(name))
	line("  %s switchover -c %s", program(), l.config(name))
	line("Logs: %s. Ctrl-C stops everything and removes it.", l.logs())
	return b.String()
}
