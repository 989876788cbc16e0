package postgres

import "testing"

// A standby that missed the reign on timeline 2 is promoted past its number, and
// those who follow take the gap.
func TestAPromotionPassesOverTimelines(t *testing.T) {
	n1 := newPrimary(t, "n1")
	n2 := newStandby(t, "n2", n1)
	n3 := newStandby(t, "n3", n1)
	n1.sql("create table t (id int)")
	n3.caughtUp(n1)
	n2.caughtUp(n1)
	n3.wantSQL("select count(*) from pg_class where relname = 't'", "1")
	n2.wantSQL("select count(*) from pg_class where relname = 't'", "1")
	n1.must(n1.KillAll(within(t)))

	n2.must(n2.Promote(within(t), 3))
	if st := n2.Status(within(t)); st.Timeline != 4 {
		t.Fatalf("after a promotion past timeline 3: %+v", st)
	}
	history, err := n3.TimelineHistory(within(t), n2.self, 4)
	n3.must(err)
	if len(history.Switches) != 1 || history.Switches[0].Timeline != 1 {
		t.Errorf("history of timeline 4: %+v", history)
	}
	n2.sql("insert into t values (1)")
	n2.followBy(n3)
	n3.wantSQL("select id from t", "1")

	n2.must(n2.KillAll(within(t)))
	n3.must(n3.Promote(within(t), 0))
	if st := n3.Status(within(t)); st.Timeline != 5 {
		t.Errorf("the next promotion: %+v", st)
	}
}
