package cluster

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

var story = Account{By: "n2", Kind: "failover", From: "n1", To: "n2", Timeline: 3, Steps: []Step{
	{time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC), "the last heartbeat of n1"},
	{time.Date(2026, 11, 23, 12, 0, 1, 0, time.UTC), "ö took the lead"},
}}

func TestAccountsComeBackAsTheyWere(t *testing.T) {
	got, err := ParseAccounts(EncodeAccounts([]Account{story}))
	if err != nil || !reflect.DeepEqual(got, []Account{story}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := ParseAccounts(nil); got != nil || err != nil {
		t.Errorf("without a key: %v, %v", got, err)
	}
}

func TestAccountsAreBounded(t *testing.T) {
	var many []Account
	for i := range 100 {
		a := Account{By: fmt.Sprint(i), Kind: "failover"}
		for j := range 100 {
			a.Tell(story.Began().Add(time.Duration(j)*time.Second), fmt.Sprint(j, strings.Repeat("ä", 300)))
		}
		many = append(many, a)
	}
	if a := many[0]; len(a.Steps) != stepsMost || !strings.HasPrefix(a.Steps[0].Text, "0ä") || !strings.HasPrefix(a.Steps[stepsMost-1].Text, "99ä") {
		t.Errorf("of 100 steps %d are kept, from %.4s to %.4s", len(a.Steps), a.Steps[0].Text, a.Steps[len(a.Steps)-1].Text)
	}
	data := EncodeAccounts(many)
	got, err := ParseAccounts(data)
	if err != nil || len(data) > accountsBytesMost || len(got) == 0 || got[len(got)-1].By != "99" || !json.Valid(data) {
		t.Errorf("%d bytes, %d accounts, %v", len(data), len(got), err)
	}
	short := make([]Account, 50)
	for i := range short {
		short[i] = story
	}
	if got, _ := ParseAccounts(EncodeAccounts(short)); len(got) != accountsMost {
		t.Errorf("%d accounts are kept", len(got))
	}
}

func TestGarbageInTheAccountsKeyIsNamed(t *testing.T) {
	good := strings.Trim(string(EncodeAccounts([]Account{story})), "[]")
	for text, want := range map[string]int{
		"nonsense": 0, "{}": 0, `[5]`: 0, `[{"by":"n1","steps":[]},` + good + `]`: 1, `[` + good + `,{"steps":[{"at":"noon","text":"x"}]}]`: 1,
		strings.Repeat("[", 100000): 0, `[{"by":7,"steps":[{"at":"2026-11-23T12:00:00Z"}]}]`: 0,
	} {
		got, err := ParseAccounts([]byte(text))
		if len(got) != want || err == nil {
			t.Errorf("%.40s: %d accounts, %v", text, len(got), err)
		}
	}
}

func TestAnAccountThatGoesOnReplacesItself(t *testing.T) {
	longer := story
	longer.Tell(story.Ended().Add(time.Second), "more")
	other := story
	other.By = "n1"
	got := WithAccount([]Account{story}, longer)
	if got = WithAccount(got, other); len(got) != 2 || len(got[0].Steps) != 3 || got[1].By != "n1" {
		t.Errorf("got %+v", got)
	}
}
