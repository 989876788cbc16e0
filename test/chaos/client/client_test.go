package client

import (
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestSilence writes to a watched connection after a while, and checks what is
// known of when: not later than it was written, and not much earlier.
func TestSilence(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	began := time.Now()
	now := func() time.Duration { return time.Since(began) }
	wrote := make(chan time.Duration, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		<-time.After(300 * time.Millisecond) // what is measured, not waited for
		wrote <- now()
		_, _ = conn.Write([]byte("x"))
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	w := &watched{Conn: conn, now: now}
	if n, err := w.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	silent, written := time.Duration(w.silent.Load()), <-wrote
	if silent > written || silent < written-200*time.Millisecond {
		t.Errorf("silent until %v, written at %v", silent, written)
	}
}

// TestDeadline keeps the owner's deadline, one that is set during the read too.
func TestDeadline(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	w := &watched{Conn: ours, now: func() time.Duration { return 0 }}
	ended := make(chan error, 1)
	go func() {
		_, err := w.Read(make([]byte, 1))
		ended <- err
	}()
	if err := w.SetDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the read ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the read does not end at its deadline")
	}
}

func TestRefusal(t *testing.T) {
	for _, c := range []struct {
		err  error
		want answer
	}{
		{nil, granted},
		{&pgconn.PgError{Code: "25006", SeverityUnlocalized: "ERROR"}, refused}, // read_only_sql_transaction
		{fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: "25006", SeverityUnlocalized: "ERROR"}), refused},
		{&pgconn.PgError{Code: "57P01", SeverityUnlocalized: "FATAL"}, unanswered}, // admin_shutdown
		{&pgconn.PgError{Code: "23505", SeverityUnlocalized: "ERROR"}, taken},
		{errors.New("unexpected EOF"), unanswered},
		{os.ErrDeadlineExceeded, unanswered},
	} {
		if got := refusal(c.err); got != c.want {
			t.Errorf("%v: %d, not %d", c.err, got, c.want)
		}
	}
}
