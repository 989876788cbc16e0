package lab

import (
	"bufio"
	"net"
	"testing"
	"time"
)

func TestAGateHoldsBackAndLetsThrough(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		text, _ := bufio.NewReader(conn).ReadString('\n')
		_, _ = conn.Write([]byte(text))
	}()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := free.Addr().String()
	free.Close()
	g := NewGate(t, at, server.Addr().String())
	conn, err := net.Dial("tcp", g.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	g.Shut()
	if _, err := conn.Write([]byte("x\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 2)
	if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(answer); n > 0 || err == nil {
		t.Errorf("%d bytes came through a gate that is shut: %v", n, err)
	}
	g.Open()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(answer); n != 2 || err != nil || string(answer) != "x\n" {
		t.Errorf("%q %v through a gate that is open again", answer[:n], err)
	}
}
