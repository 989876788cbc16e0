package client

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"matriarch/internal/api"
	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

var failsafeCall = cluster.FailsafeCall{Name: "n1", ConnURL: "postgres://127.0.0.1:5431/postgres", APIURL: "http://127.0.0.1:8001/patroni",
	Slots: map[string]wal.LSN{"n1": 67108960}}

// TestFailsafeAnswers is B-543, B-544 and B-546.
func TestFailsafeAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		handler  http.HandlerFunc
		accepted bool
		position wal.LSN
		fault    string
	}{
		"B-546: it accepts": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["lsn"] = []string{"67108960"}
			_, _ = io.WriteString(w, "Accepted")
		}, true, 67108960, ""},
		"it accepts and knows no position": {says("Accepted"), true, 0, ""},
		"its position is no number": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["lsn"] = []string{"-5"}
			_, _ = io.WriteString(w, "Accepted")
		}, true, 0, ""},
		"B-546: exactly that body":      {says("Accepted\n"), false, 0, "it answered 200"},
		"another text":                  {says("OK"), false, 0, "it answered 200"},
		"B-545: it is a leader":         {code(500, "Running as a leader"), false, 0, "it answered 500"},
		"the text without the code":     {code(202, "Accepted"), false, 0, "it answered 202"},
		"B-545: the mode is off there":  {code(502, "page"), false, 0, "it answered 502"},
		"a redirection is not followed": {http.RedirectHandler("/patroni", http.StatusTemporaryRedirect).ServeHTTP, false, 0, "it answered 307"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			url := member(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				body, _ := io.ReadAll(r.Body)
				if got := r.Method + " " + r.URL.Path + " " + string(body); got != "POST /failsafe "+string(failsafeCall.Encode()) {
					t.Errorf("sent %s", got)
				}
				c.handler(w, r)
			})
			answers, faults := newClient(t, Options{}).Failsafe(t.Context(), map[string]string{"n2": url}, failsafeCall)
			if want := []cluster.FailsafeAnswer{{Member: "n2", Accepted: c.accepted, Position: c.position}}; !reflect.DeepEqual(answers, want) {
				t.Errorf("got %+v, want %+v", answers, want)
			}
			if got := fmt.Sprint(faults); (len(faults) > 0) == c.accepted || !strings.Contains(got, c.fault) {
				t.Errorf("faults %s", got)
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("asked %d times: an answer is an answer", n)
			}
		})
	}
}

func code(code int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}
}

// TestFailsafeTriesOnceMore is B-543: one retry, for a connection that was lost.
func TestFailsafeTriesOnceMore(t *testing.T) {
	for lost, want := range map[int32]bool{1: true, 2: false} {
		var asked atomic.Int32
		url := member(t, func(w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) <= lost {
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(w, "Accepted")
		})
		answers, faults := newClient(t, Options{}).Failsafe(t.Context(), map[string]string{"n2": url}, failsafeCall)
		if answers[0].Accepted != want || asked.Load() != 2 || (len(faults) == 0) != want {
			t.Errorf("%d lost: %+v, %v, asked %d times", lost, answers, faults, asked.Load())
		}
	}
}

// TestFailsafeAsksAllAtOnce: every member waits for the others' calls before it
// answers, so one after the other would never end.
func TestFailsafeAsksAllAtOnce(t *testing.T) {
	const members = 5
	var here atomic.Int32
	all := make(chan struct{})
	others := map[string]string{"nowhere": ""}
	for i := range members {
		others[fmt.Sprintf("n%d", i)] = member(t, func(w http.ResponseWriter, r *http.Request) {
			if here.Add(1) == members {
				close(all)
			}
			select {
			case <-all:
				_, _ = io.WriteString(w, "Accepted")
			case <-r.Context().Done():
			}
		})
	}
	answers, faults := newClient(t, Options{}).Failsafe(t.Context(), others, failsafeCall)
	if len(answers) != members+1 || len(faults) != 1 || answers[members].Member != "nowhere" || answers[members].Accepted {
		t.Fatalf("got %+v, %v", answers, faults)
	}
	for _, a := range answers[:members] {
		if !a.Accepted {
			t.Errorf("%s did not accept", a.Member)
		}
	}
	if _, granted := cluster.FailsafeGranted(others, answers); granted {
		t.Error("granted, although one has no address")
	}
}

// TestFailsafeOfAFrozenMember: it costs no more than the caller has.
func TestFailsafeOfAFrozenMember(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // it accepts in the kernel and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	answers, faults := newClient(t, Options{}).Failsafe(ctx, map[string]string{"n2": "http://" + l.Addr().String()}, failsafeCall)
	if len(answers) != 1 || answers[0].Accepted || len(faults) != 1 {
		t.Errorf("got %+v, %v", answers, faults)
	}
}

// failsafeNode is as much of a node as a failsafe request sees.
type failsafeNode struct {
	api.Node
	heard chan cluster.FailsafeCall
}

func (n failsafeNode) Picture() api.Picture {
	return api.Picture{Settings: cluster.Settings{Failsafe: true}}
}

func (n failsafeNode) AcceptFailsafe(call cluster.FailsafeCall) (wal.LSN, bool) {
	n.heard <- call
	return 1 << 60, true
}

// TestFailsafeBetweenTwoOfOurs joins both ends, with what the REST API protects.
func TestFailsafeBetweenTwoOfOurs(t *testing.T) {
	n := failsafeNode{heard: make(chan cluster.FailsafeCall, 1)}
	server, err := api.New(t.Context(), api.Options{Access: api.Access{Username: "u", Password: "s3cret", IncludeMembers: true}}, n, nil)
	if err != nil {
		t.Fatal(err)
	}
	others := map[string]string{"n2": member(t, server.ServeHTTP)}
	answers, faults := newClient(t, Options{}).Failsafe(t.Context(), others, failsafeCall)
	if answers[0].Accepted || len(faults) != 1 || !strings.Contains(faults[0].Error(), "401") {
		t.Errorf("without the password: %+v, %v", answers, faults)
	}
	answers, faults = newClient(t, Options{Username: "u", Password: "s3cret"}).Failsafe(t.Context(), others, failsafeCall)
	if positions, granted := cluster.FailsafeGranted(others, answers); !granted || positions["n2"] != 1<<60 {
		t.Fatalf("got %+v, %v", answers, faults)
	}
	if got := <-n.heard; !reflect.DeepEqual(got, failsafeCall) {
		t.Errorf("heard %+v", got)
	}
}
