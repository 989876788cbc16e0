package guard

import (
	"testing"
	"time"

	"matriarch/internal/boottime"
)

func TestDecide(t *testing.T) {
	const second = boottime.Instant(time.Second)
	now := 100 * second
	cases := []struct {
		name   string
		change func(*State)
		want   Verdict
	}{
		{"a primary with a permit runs until its deadline", func(*State) {}, Verdict{Wait, Permitted, now + second}},
		{"no server, nothing to do", func(s *State) { s.Alive = false; s.Deadline = 0 }, Verdict{Wait, Idle, 0}},
		{"the permit ends: freeze", func(s *State) { s.Deadline = now - 1 }, Verdict{Freeze, Expired, now.Add(retry)}},
		{"at the deadline itself it has ended", func(s *State) { s.Deadline = now }, Verdict{Freeze, Expired, now.Add(retry)}},
		{"one nanosecond before it has not", func(s *State) { s.Deadline = now + 1 }, Verdict{Wait, Permitted, now + 1}},
		{"a primary that never had a permit does not run", func(s *State) { s.Deadline = 0 }, Verdict{Freeze, Expired, now.Add(retry)}},
		{"a standby is never frozen for the deadline", func(s *State) { s.Armed, s.Deadline = false, 0 }, Verdict{Wait, Unguarded, 0}},
		{"a standby is frozen when told", func(s *State) { s.Armed, s.Told = false, OrderFreeze }, Verdict{Freeze, Ordered, now.Add(retry)}},
		{"told to freeze, a permit does not help", func(s *State) { s.Told = OrderFreeze }, Verdict{Freeze, Ordered, now.Add(retry)}},
		{"a freeze that is not done goes on", freezing(func(s *State) { s.Deadline = now - 1 }), Verdict{Freeze, Expired, now.Add(retry)}},
		{"a frozen one is kept until the guard gives up", frozen(now-second, func(s *State) { s.Deadline = now - second }),
			Verdict{Wait, Expired, now + 9*second}},
		{"extended while frozen: thaw", frozen(now-second, func(*State) {}), Verdict{Thaw, Permitted, now + second}},
		{"extended before the freeze was done: thaw", freezing(func(*State) {}), Verdict{Thaw, Permitted, now + second}},
		{"extended, but told to stay frozen", frozen(now-second, func(s *State) { s.Told = OrderFreeze }), Verdict{Wait, Ordered, now + 9*second}},
		{"disarmed while frozen: thaw", frozen(now-second, func(s *State) { s.Armed, s.Deadline = false, 0 }), Verdict{Thaw, Unguarded, 0}},
		{"nothing came: kill", frozen(now-10*second, func(s *State) { s.Deadline = 0 }), Verdict{Kill, NothingCame, now.Add(retry)}},
		{"nothing came after an order to freeze: kill", frozen(now-10*second, func(s *State) { s.Told = OrderFreeze }), Verdict{Kill, NothingCame, now.Add(retry)}},
		{"a process that does not stop in time is killed too", freezing(func(s *State) { s.Deadline, s.Since = 0, now-10*second }),
			Verdict{Kill, NothingCame, now.Add(retry)}},
		{"a late extension still thaws", frozen(now-20*second, func(*State) {}), Verdict{Thaw, Permitted, now + second}},
		{"a long suspend ends frozen, not killed", func(s *State) { s.Deadline = 1 }, Verdict{Freeze, Expired, now.Add(retry)}},
		{"told to kill, nothing saves it", func(s *State) { s.Told = OrderKill }, Verdict{Kill, Ordered, now.Add(retry)}},
		{"told to kill a standby", func(s *State) { s.Told, s.Armed = OrderKill, false }, Verdict{Kill, Ordered, now.Add(retry)}},
		{"told to kill while frozen: never a thaw between", frozen(now-second, func(s *State) { s.Told = OrderKill }), Verdict{Kill, Ordered, now.Add(retry)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := State{Now: now, Deadline: now + second, Alive: true, Armed: true, GiveUp: 10 * time.Second}
			c.change(&s)
			if got := Decide(s); got != c.want {
				t.Errorf("%+v\n got %v %q at %d\nwant %v %q at %d", s, got.Do, got.Why, got.LookAgain, c.want.Do, c.want.Why, c.want.LookAgain)
			}
		})
	}
}

func frozen(since boottime.Instant, change func(*State)) func(*State) {
	return func(s *State) { s.Standing, s.Since = Frozen, since; change(s) }
}

func freezing(change func(*State)) func(*State) {
	return func(s *State) { s.Standing, s.Since = Freezing, s.Now; change(s) }
}

// TestAnExpiredServerNeverRuns drives the rule with hands that do as they are
// told, over every combination of what it looks at.
func TestAnExpiredServerNeverRuns(t *testing.T) {
	for _, armed := range []bool{true, false} {
		for _, told := range []Order{NoOrder, OrderFreeze, OrderKill} {
			for _, standing := range []Standing{Running, Freezing, Frozen} {
				for _, deadline := range []boottime.Instant{0, 99, 100, 101} {
					for _, since := range []boottime.Instant{1, 99} {
						s := State{Now: 100, Deadline: deadline, Alive: true, Armed: armed, Standing: standing, Since: since, GiveUp: 50, Told: told}
						v := Decide(s)
						mayRun := told == NoOrder && (!armed || deadline > 100)
						if runs := v.Do == Thaw || v.Do == Wait && standing != Frozen; runs != mayRun {
							t.Errorf("%+v: %v lets it run: %t, want %t", s, v.Do, runs, mayRun)
						}
						if v.LookAgain != 0 && v.LookAgain <= s.Now {
							t.Errorf("%+v: look again at %d is not later", s, v.LookAgain)
						}
					}
				}
			}
		}
	}
}
