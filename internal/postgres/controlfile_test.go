package postgres

import (
	"os"
	"slices"
	"testing"

	"matriarch/internal/postgres/conf"
	"matriarch/internal/wal"
)

// What we read by ourselves and what the tools say must be one: a hand-over relies on it.
func TestControlFileAndLastRecordsAreReadAsTheToolsReadThem(t *testing.T) {
	for _, archive := range []string{"off", "on"} {
		t.Run("archive_mode "+archive, func(t *testing.T) {
			n := newPrimary(t, "n1", func(c *Config) {
				c.Parameters["archive_mode"], c.Parameters["archive_command"] = archive, "true"
			})
			n.sql("create table t(); checkpoint")
			running, ok := readControlFile(n.cfg())
			if !ok || running.state == controlShutDown {
				t.Fatalf("a running server's: %+v, %v", running, ok)
			}
			if end, ok := readShutdownEnd(n.cfg()); ok {
				t.Fatalf("a running server was shut down at %+v", end)
			}
			n.must(n.Stop(within(t), StopOptions{Mode: Fast}))

			told, err := n.Control(within(t))
			n.must(err)
			read, ok := readControlFile(n.cfg())
			if !ok || read.systemID != told.SystemIdentifier || read.checkpoint != told.Checkpoint ||
				(read.state == controlShutDown) != (told.State == conf.StateShutDown) || read.segmentSize != 16<<20 {
				t.Fatalf("read %+v, %v; the tool says %+v", read, ok, told)
			}
			end, ok := readShutdownEnd(n.cfg())
			if end.Checkpoint != told.Checkpoint.LSN {
				t.Errorf("the checkpoint is at %s; by the tool at %s", end.Checkpoint, told.Checkpoint)
			}
			at := end.At
			if want := n.toldPosition(within(t), told.Checkpoint); !ok || at != want || (at == told.Checkpoint) != (archive == "off") {
				t.Fatalf("position %s, %v; by the tool %s, checkpoint %s", at, ok, want, told.Checkpoint)
			}
		})
	}
}

func TestControlFileThatIsHalfWrittenIsNotRead(t *testing.T) {
	n := newPrimary(t, "n1")
	whole, err := os.ReadFile(n.cfg().data("global", "pg_control"))
	n.must(err)
	if _, ok := parseControlFile(whole); !ok {
		t.Fatal("the whole one is not read")
	}
	for _, at := range []int{0, 9, controlStateAt, controlCheckpointAt, controlTimelineAt, 150} {
		half := slices.Clone(whole)
		half[at] ^= 1
		if got, ok := parseControlFile(half); ok {
			t.Errorf("byte %d is another, and it is read as %+v", at, got)
		}
	}
	for _, length := range []int{0, 20, 100, controlLeast, controlLeast + 4} {
		if got, ok := parseControlFile(whole[:length]); ok {
			t.Errorf("%d bytes are read as %+v", length, got)
		}
	}
	if got, ok := parseControlFile(make([]byte, 8192)); ok {
		t.Errorf("zeros are read as %+v", got)
	}
}

func TestRecordThatIsNotThereIsNotRead(t *testing.T) {
	n := newPrimary(t, "n1")
	n.must(n.Stop(within(t), StopOptions{Mode: Fast}))
	control, ok := readControlFile(n.cfg())
	if !ok {
		t.Fatal("the control file is not read")
	}
	for _, off := range []uint64{1, 4, 8, 16, 24, 8192} {
		at := control.checkpoint
		at.LSN += wal.LSN(off)
		if got, err := readRecordHead(n.cfg(), at, control.segmentSize); err == nil {
			t.Errorf("%d bytes after the checkpoint there is %+v", off, got)
		}
	}
}
