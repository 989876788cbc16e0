package postgres

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// holdEnv makes the test binary an agent that runs a tool until it is killed.
const holdEnv = "MPG_HOLD_TOOL"

func holdTool() {
	run := job{ctx: context.Background(), path: "/bin/sh", args: []string{"-c", "echo $$; exec sleep 300"}}
	err := run.follow(func(line string) { fmt.Println(line) })
	fmt.Fprintln(os.Stderr, "the tool has ended:", err)
	os.Exit(1)
}

func TestToolDiesWithTheAgent(t *testing.T) {
	if testRoot == "" {
		t.Skip("no PostgreSQL in " + binDir)
	}
	agent := exec.Command(os.Args[0])
	agent.Env = append(os.Environ(), holdEnv+"=1")
	out, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	pid, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Process.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	agent.Wait()
	eventually(t, "the tool is gone", func() (bool, string) {
		text, err := os.ReadFile("/proc/" + strings.TrimSpace(pid) + "/stat")
		return err != nil || strings.Contains(string(text), ") Z "), string(text)
	})
}

// A pg_basebackup that an agent left behind must not write beside the next one.
func TestStrayToolIsKilledBeforeTheDirectoryIsTouched(t *testing.T) {
	n := newPrimary(t, "n1")
	other := newNode(t, "n2")
	// It streams slowly and is ours by its arguments.
	cfg := other.cfg()
	n.must(other.withSource(n.self))
	stray := exec.Command(cfg.bin("pg_basebackup"), "--pgdata="+cfg.DataDir, "-X", "stream", "--max-rate=32k", "--checkpoint=fast",
		"--dbname="+toolConninfo(cfg, cfg.Replication, n.self, 15))
	stray.Env = append(os.Environ(), passEnvironment(cfg)...)
	n.must(stray.Start())
	ended := make(chan error, 1)
	go func() { ended <- stray.Wait() }()
	eventually(t, "it copies", func() (bool, string) {
		found := strays(cfg)
		return len(found) == 2, fmt.Sprint(found) // itself and its receiver of the log
	})
	n.must(other.BaseBackup(within(t), n.self, nil))
	if err := <-ended; err == nil || len(strays(cfg)) != 0 {
		t.Fatalf("it ended with %v, left %v", err, strays(cfg))
	}
	n.must(other.StartStandby(within(t), n.self))
	n.must(other.WaitReady(within(t)))
	other.waitStreaming()
}
