package postgres

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOlderPostgreSQLIsRefused(t *testing.T) {
	cases := map[string]int{
		"postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)": 15,
		"postgres (PostgreSQL) 19devel":                        19,
		"postgres (PostgreSQL) 12.22":                          0,
		"postgres (PostgreSQL) 9.6.24":                         0,
		"":                                                     0,
	}
	for text, want := range cases {
		got, err := parseVersion(text)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	if _, err := parseVersion("postgres (PostgreSQL) 12.22"); !errors.Is(err, ErrTooOld) {
		t.Errorf("12: %v", err)
	}
}

func TestRecordOfWaldump(t *testing.T) {
	line := "rmgr: XLOG        len (rec/tot):     24/    24, tx:          0, lsn: 0/0300A1F8, prev 0/0300A180, desc: SWITCH \n"
	got, err := parseRecord(line)
	want := logRecord{"XLOG", 0x300A1F8, 0x300A180, "SWITCH"}
	if err != nil || got != want {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := parseRecord("pg_waldump: error"); err == nil {
		t.Fatal("an error is taken for a record")
	}
}

func TestPostmasterEnvironmentHidesTheAgents(t *testing.T) {
	for _, name := range []string{"PATRONI_SUPERUSER_PASSWORD", "MATRIARCH_X", "KUBERNETES_PORT", "NOTIFY_SOCKET", "PGTESTKEEP"} {
		t.Setenv(name, "x")
	}
	env := strings.Join(ChildEnvironment(), "\n")
	for _, name := range []string{"PATRONI_", "MATRIARCH_", "KUBERNETES_", "NOTIFY_SOCKET"} {
		if strings.Contains(env, name) {
			t.Errorf("%s is passed on", name)
		}
	}
	if !strings.Contains(env, "PGTESTKEEP=x") {
		t.Error("the rest must be kept")
	}
	t.Setenv("PG_MALLOC_ARENA_MAX", "1")
	if !slices.Contains(postmasterEnvironment(Config{DataDir: t.TempDir()}), "MALLOC_ARENA_MAX=1") {
		t.Error("PG_MALLOC_ARENA_MAX is the postmaster's MALLOC_ARENA_MAX")
	}
}

// The whole process group goes, and nobody waits for a grandchild.
func TestCancelKillsTheWholeGroup(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var grandchild string
	run := job{ctx: ctx, path: "/bin/sh", args: []string{"-c", "sleep 300 & echo $!; wait"}}
	err := run.follow(func(line string) {
		grandchild = line
		cancel()
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	eventually(t, "the grandchild is gone", func() (bool, string) {
		text, err := os.ReadFile("/proc/" + grandchild + "/stat")
		return err != nil || strings.Contains(string(text), ") Z "), string(text)
	})
}

func TestZombieIsNotAlive(t *testing.T) {
	child := exec.Command("true")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	eventually(t, "it is a zombie", func() (bool, string) {
		stat, err := readStat(child.Process.Pid)
		return err == nil && stat.dead(), string(stat.State)
	})
	if unix.Kill(child.Process.Pid, 0) != nil {
		t.Fatal("to kill(pid, 0) a zombie should look alive: then this test tests nothing")
	}
	if k := kin(child.Process.Pid, "/"); k != zombie {
		t.Fatalf("kin: %d", k)
	}
	if k := kin(os.Getpid(), "/nowhere"); k != foreign {
		t.Fatalf("ourselves: %d", k)
	}
}

func TestScramVerifierOfTheRFC(t *testing.T) {
	// RFC 7677, section 3: user "user", password "pencil", 4096 iterations.
	salt := []byte{0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81}
	got, err := scramVerifier("pencil", salt)
	want := "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	if err != nil || got != want {
		t.Fatalf("%s, %v", got, err)
	}
}

func TestBackupOptionsOfTheUserComeLast(t *testing.T) {
	cfg := Config{DataDir: "/d", BaseBackupOptions: []string{"--checkpoint=spread", "--max-rate=10M"}}
	got := backupArguments(cfg, "host=a")
	want := []string{"--pgdata=/d", "-X", "stream", "--dbname=host=a", "--no-password", "--progress", "--checkpoint=spread", "--max-rate=10M"}
	if !slices.Equal(got, want) {
		t.Fatalf("%q", got)
	}
}

func TestStopEscalatesWhenTheLimitIsReached(t *testing.T) {
	n := newPrimary(t, "n1")
	client, err := n.connectLocal(within(t), "client", false) // a smart stop waits for it
	n.must(err)
	defer client.Close(context.Background())
	called := false
	n.must(n.Stop(within(t), StopOptions{Mode: Smart, Limit: 50 * time.Millisecond, OnShutdownCheckpoint: func(ShutdownEnd) { called = true }}))
	if called || n.Status(within(t)).Running {
		t.Fatal("an immediate stop writes no shutdown checkpoint")
	}
}

func TestLocalHost(t *testing.T) {
	for listen, want := range map[string]string{"0.0.0.0": "localhost", "10.1.1.1,127.0.0.1": "localhost", "10.1.1.1,10.1.1.2": "10.1.1.1", "*": "localhost"} {
		if got := (Config{ListenAddresses: listen}).localHost(); got != want {
			t.Errorf("%s: %s", listen, got)
		}
	}
}
