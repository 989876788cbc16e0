package postgres

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"strconv"

	"matriarch/internal/wal"
)

// controlFile is the part of pg_control that we read by ourselves. pg_controldata
// tells it as well, but it is a process of its own: while clients wait for a hand-over
// each one costs some of their time, and a busy machine makes it tens of milliseconds.
type controlFile struct {
	systemID    string
	state       controlState
	checkpoint  wal.Point // start of the latest checkpoint record
	segmentSize uint64    // of the log, in bytes
}

// controlState is DBState of catalog/pg_control.h.
type controlState uint32

// controlShutDown is DB_SHUTDOWNED: a primary, cleanly.
const controlShutDown controlState = 1

// castagnoli is the polynomial of PostgreSQL's checksums (port/pg_crc32c.h).
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readControlFile reads pg_control. It is false when the file cannot be read, is just
// being written, or is not laid out as in the versions that we know; the tool then
// knows better, or says what is wrong.
func readControlFile(cfg Config) (controlFile, bool) {
	data, err := os.ReadFile(cfg.data("global", "pg_control"))
	if err != nil {
		return controlFile{}, false
	}
	return parseControlFile(data)
}

// Where the fields lie is the same in all supported versions: the system identifier (8
// bytes), two versions (4 each), the state (4), a time (8, aligned), the position of the
// checkpoint (8), and a copy of its record, which begins with its redo position (8) and
// its timeline (4).
const (
	controlStateAt      = 16
	controlCheckpointAt = 32
	controlTimelineAt   = 48
	controlLeast        = 200 // bytes; what comes before the checksum is more than that in every version
	controlMost         = 512 // PG_CONTROL_MAX_SAFE_SIZE: the checksum ends before
)

func parseControlFile(data []byte) (controlFile, bool) {
	data = data[:min(len(data), controlMost)]
	content, ok := checkedControl(data)
	if !ok {
		return controlFile{}, false
	}
	segmentSize := segmentSizeIn(content)
	if segmentSize == 0 {
		return controlFile{}, false
	}
	return controlFile{
		systemID: strconv.FormatUint(binary.NativeEndian.Uint64(content), 10),
		state:    controlState(binary.NativeEndian.Uint32(content[controlStateAt:])),
		checkpoint: wal.Point{
			Timeline: wal.Timeline(binary.NativeEndian.Uint32(content[controlTimelineAt:])),
			LSN:      wal.LSN(binary.NativeEndian.Uint64(content[controlCheckpointAt:])),
		},
		segmentSize: segmentSize,
	}, true
}

// checkedControl is what the file's checksum vouches for. Where the checksum lies
// differs between versions, so it is looked for: a file that is half written matches
// nowhere.
func checkedControl(data []byte) ([]byte, bool) {
	for end := controlLeast; end+4 <= len(data); end += 4 {
		if crc32.Checksum(data[:end], castagnoli) == binary.NativeEndian.Uint32(data[end:]) {
			return data[:end], true
		}
	}
	return nil, false
}

// segmentSizeIn finds xlog_seg_size: it comes 20 bytes after the number by which
// PostgreSQL recognises the machine's floating point format (pg_control.h,
// FLOATFORMAT_VALUE). 0: it is not there.
func segmentSizeIn(content []byte) uint64 {
	const floatFormat = 1234567.0
	mark := binary.NativeEndian.AppendUint64(nil, math.Float64bits(floatFormat))
	at := bytes.Index(content, mark)
	if at < 0 || at+24 > len(content) {
		return 0
	}
	size := uint64(binary.NativeEndian.Uint32(content[at+20:]))
	const least, most = 1 << 20, 1 << 30 // xlog_internal.h, WalSegMinSize and WalSegMaxSize
	if size < least || size > most || size&(size-1) != 0 {
		return 0
	}
	return size
}
