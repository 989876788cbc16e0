package guard

import (
	"reflect"
	"strings"
	"testing"
)

func TestAMessageSurvivesTheLine(t *testing.T) {
	awkward := []string{"", " ", "a b", `quote " and \`, "line\nend", "a=b", "\xff\xfe", "größer", "\x00", "plain-/:1"}
	m := Message{Verb: "start"}
	for _, v := range awkward {
		m = m.With("arg", v)
	}
	m = m.WithInt("at", -42).WithBool("armed", true)
	line := string(m.Line())
	if strings.Count(line, "\n") != 1 {
		t.Fatalf("not one line: %q", line)
	}
	got, err := ParseMessage(line)
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Fatalf("got %+v, %v\nwant %+v", got, err, m)
	}
	if got.Int("at") != -42 || !got.Bool("armed") || !reflect.DeepEqual(got.All("arg"), awkward) {
		t.Errorf("read back: %d %t %q", got.Int("at"), got.Bool("armed"), got.All("arg"))
	}
}

func TestWhatIsNoMessageIsRefused(t *testing.T) {
	for _, line := range []string{"", "a=b", "start x", "start x=\"", `start x="a"b=c`, "start =1", "start  a=1"} {
		if m, err := ParseMessage(line); err == nil {
			t.Errorf("%q was read as %+v", line, m)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add("start id=1 arg=\"a b\"")
	f.Fuzz(func(t *testing.T, line string) {
		m, err := ParseMessage(line)
		if err != nil || strings.ContainsAny(m.Verb, "\n") {
			return
		}
		for _, field := range m.Fields {
			if strings.Contains(field.Key, "\n") {
				return
			}
		}
		again, err := ParseMessage(string(m.Line()))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%q: %+v came back as %+v, %v", line, m, again, err)
		}
	})
}
