package chaos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// diskSize is in bytes: etcd makes its log in files of 64 MB, two in advance.
const diskSize = 256 << 20

// smallDisk mounts a disk of its own on a directory, which a test can fill.
func smallDisk(t testing.TB, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("chaos", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", diskSize)); err != nil {
		t.Fatalf("mount a small disk on %s: %v", dir, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	lab.Own(t, dir)
}

// fill writes to a disk until it is full, and returns how to make room again.
func fill(dir string) (room func() error, err error) {
	path := filepath.Join(dir, "filler")
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	block := make([]byte, 1<<20)
	for size := len(block); size >= 512; { // smaller and smaller, until nothing fits
		_, err := file.Write(block[:size])
		switch {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			return nil, err
		}
	}
	return func() error { return os.Remove(path) }, nil
}

// etcdFull fills the disks of all of etcd and writes to it until it gives up. When
// there is room again, its supervisor starts it.
var etcdFull = fault{name: "etcd's disks full", keeps: true, clean: true, deal: func(f *field, _ *lab.Node) func() {
	var rooms []func() error
	for i := range f.etcd.Endpoints {
		room, err := fill(f.etcd.Data(i))
		if err != nil {
			f.t.Fatal(err)
		}
		rooms = append(rooms, room)
	}
	stop := f.meanwhile(f.writeMuch)
	return func() {
		stop()
		for i, room := range rooms {
			f.s.say("etcd %d is running: %v", i, f.etcd.Running(i))
			if err := room(); err != nil && !errors.Is(err, fs.ErrNotExist) {
				f.t.Fatal(err)
			}
			if !f.etcd.Running(i) {
				f.etcd.Start(i)
			}
		}
		f.etcd.WaitReady()
	}
}}

// writeMuch puts ten keys of 100 kB again and again: a store at rest could live on
// a full disk for long.
func (f *field) writeMuch(ctx context.Context) {
	value := strings.Repeat("x", 100_000)
	for i := 0; waited(ctx, 20*time.Millisecond); i++ {
		try, cancel := context.WithTimeout(ctx, time.Second)
		err := f.etcd.Put(try, fmt.Sprintf("/lab/much%d", i%10), value)
		cancel()
		if err != nil {
			waited(ctx, 500*time.Millisecond) // it is as it should be
		}
	}
}
