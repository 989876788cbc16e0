package postgres

import (
	"context"
	"maps"
	"slices"
	"strings"

	"matriarch/internal/postgres/conf"
)

// change is a setting whose value in the generated file is another than it was.
type change struct {
	Name string
	Now  string
	Gone bool // the file does not name it any more: the user's own file decides, or the default
	was  string
}

// changes compares two texts of the generated file. What makes a server a standby is
// left out: it follows the leader and not the configuration (compat/config.md §1.5).
func changes(before, after string) []change {
	was, now := values(before), values(after)
	var out []change
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if value, there := now[name]; !there {
			out = append(out, change{Name: name, Gone: true, was: was[name]})
		} else if value != was[name] {
			out = append(out, change{Name: name, Now: value, was: was[name]})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if _, there := was[name]; !there {
			out = append(out, change{Name: name, Now: now[name]})
		}
	}
	slices.SortFunc(out, func(a, b change) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func values(text string) map[string]string {
	out := map[string]string{}
	for _, s := range conf.Parse(text) {
		if !conf.IsRecovery(s.Name) && s.Name != "hot_standby" {
			out[s.Name] = s.Value
		}
	}
	return out
}

// inForce is a setting as the running server has it.
type inForce struct {
	setting, shown, unit string
	atStart              bool // it counts when the server is started
}

// tellChanges logs what a reload is about to change, in the words that tools look for
// in Patroni's log. What the server has already is no change.
func (s *Server) tellChanges(ctx context.Context, list []change) {
	if len(list) == 0 {
		return
	}
	have, err := s.inForce(ctx, list)
	if err != nil {
		s.log.Info("the settings in force could not be asked for; the values before are those of the file", "err", err)
	}
	for _, c := range list {
		old, known := have[c.Name]
		switch {
		case !known:
			old.shown = c.was // an extension's, which is not loaded
		case !c.Gone && sameSetting(old, c.Now):
			continue
		}
		restart := ""
		if old.atStart {
			restart = " (restart might be required)"
		}
		now := "None" // so that there is a value at this place of the line in any case
		if !c.Gone {
			now = conf.Masked(c.Name, c.Now)
		}
		s.log.Info("Changed " + c.Name + " from '" + conf.Masked(c.Name, old.shown) + "' to '" + now + "'" + restart)
	}
}

func sameSetting(have inForce, value string) bool {
	if n, ok := conf.ParseInt(value, have.unit); ok {
		m, ok := conf.ParseInt(have.setting, "")
		return ok && n == m
	}
	return conf.Same(have.setting, value)
}

func (s *Server) inForce(ctx context.Context, list []change) (map[string]inForce, error) {
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
	}
	out := map[string]inForce{}
	ctx, cancel := context.WithTimeout(ctx, localLimit)
	defer cancel()
	err := s.query(ctx, func(ctx context.Context, q querier) error {
		rows, err := q.Query(ctx, `SELECT lower(name), setting, current_setting(name), coalesce(unit, ''), context = 'postmaster'
 FROM pg_settings WHERE lower(name) = ANY($1)`, names)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var have inForce
			if err := rows.Scan(&name, &have.setting, &have.shown, &have.unit, &have.atStart); err != nil {
				return err
			}
			out[name] = have
		}
		return rows.Err()
	})
	return out, err
}
