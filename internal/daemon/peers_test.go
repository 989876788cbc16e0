package daemon

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
)

func TestPeersAnswerInOrderAndSilenceIsAnAnswer(t *testing.T) {
	standby := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"state":"running","role":"replica","timeline":3,"xlog":{"received_location":500,"replayed_location":400},"tags":{"failover_priority":2}}`)
	}))
	defer standby.Close()
	stuck := make(chan struct{})
	frozen := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stuck:
		case <-r.Context().Done():
		}
	}))
	defer frozen.Close()
	defer close(stuck)
	noServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"state":"stopped","role":"replica"}`)
	}))
	defer noServer.Close()

	c, err := client.New(client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	answers := peers{c}.Ask(ctx, []cluster.Member{
		{Name: "n4", APIURL: "http://127.0.0.1:1/patroni"}, {Name: "n3", APIURL: noServer.URL + "/patroni"},
		{Name: "n2", APIURL: frozen.URL + "/patroni"}, {Name: "n1", APIURL: standby.URL + "/patroni"},
	})
	if len(answers) != 4 {
		t.Fatalf("%d answers", len(answers))
	}
	first := answers[0]
	if first.Name != "n1" || first.Silent || first.Primary || first.End.LSN != 500 || first.End.Timeline != 3 || first.Priority != 2 {
		t.Errorf("the standby: %+v", first)
	}
	for _, a := range answers[1:] {
		if !a.Silent {
			t.Errorf("%s counts as heard: %+v", a.Name, a)
		}
	}
}
