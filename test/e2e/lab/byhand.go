package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// RunAs runs a program to its end as the servers' user.
func RunAs(t testing.TB, path string, args ...string) {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account(t)}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v: %s", path, strings.Join(args, " "), err, said.String())
	}
}

// Create makes the node's data directory without an agent, as an administrator
// does by hand, with the superuser's password and the guide's pg_hba lines.
func (n *Node) Create() {
	n.t.Helper()
	pw := filepath.Join(n.Dir, "pw")
	if err := os.WriteFile(pw, []byte(SuperPassword+"\n"), 0o600); err != nil {
		n.t.Fatal(err)
	}
	Own(n.t, pw)
	RunAs(n.t, filepath.Join(BinDir, "initdb"), "--username=postgres", "--pwfile="+pw, "--encoding=UTF8", "--locale=C",
		"--data-checksums", "--no-sync", n.Data)
	hba, err := os.OpenFile(filepath.Join(n.Data, "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	defer hba.Close()
	if _, err := hba.WriteString("host replication replicator 127.0.0.0/8 md5\nhost all all 0.0.0.0/0 md5\n"); err != nil {
		n.t.Fatal(err)
	}
}

// StartServer starts PostgreSQL without an agent.
func (n *Node) StartServer() {
	n.t.Helper()
	options := fmt.Sprintf("-c listen_addresses=%s -c port=5432 -c unix_socket_directories=%s -c fsync=off", n.Host, n.Dir)
	RunAs(n.t, filepath.Join(BinDir, "pg_ctl"), "--pgdata="+n.Data, "--wait", "--options="+options, "--log="+n.Log, "start")
}

// Forget removes all keys of the cluster from the store, as the loss of the
// store's data would.
func (c *Cluster) Forget() {
	c.t.Helper()
	if _, err := c.store.Delete(c.t.Context(), c.Prefix(), clientv3.WithPrefix()); err != nil {
		c.t.Fatal(err)
	}
}
