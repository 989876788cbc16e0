package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"matriarch/internal/wal"
)

// The layout of the log (xlog_internal.h, xlogrecord.h), the same in all supported
// versions.
const (
	logPage       = 8192 // XLOG_BLCKSZ as everybody builds it; another one is left to the tool
	pageHeader    = 24   // SizeOfXLogShortPHD
	segmentHeader = 40   // SizeOfXLogLongPHD, of the first page of a segment
	recordHeader  = 24   // SizeOfXLogRecord
	recordMost    = 1024 // bytes; the records that we read are far shorter
	managerXLOG   = 0    // RM_XLOG_ID

	shutdownCheckpoint = 0x00 // XLOG_CHECKPOINT_SHUTDOWN
	segmentSwitch      = 0x40 // XLOG_SWITCH
)

var errRecord = errors.New("there is no such record")

// logRecordHead is what the header of a record tells.
type logRecordHead struct {
	previous wal.LSN
	manager  byte
	kind     byte // xl_info without the bits of the log itself
}

func (r logRecordHead) is(kind byte) bool { return r.manager == managerXLOG && r.kind == kind }

// readRecordHead reads a short record of the log of a server that is down, and checks
// it by its checksum. pg_waldump would tell more, but see controlFile.
func readRecordHead(cfg Config, at wal.Point, segmentSize uint64) (logRecordHead, error) {
	path := cfg.data("pg_wal", segmentFile(at, segmentSize))
	file, err := os.Open(path)
	if err != nil {
		return logRecordHead{}, fmt.Errorf("read the record at %s: %w", at, err)
	}
	defer file.Close()
	r := recordReader{file: file, offset: uint64(at.LSN) % segmentSize, size: segmentSize, page: uint64(at.LSN) - uint64(at.LSN)%logPage}
	head, err := r.record()
	if err != nil {
		return logRecordHead{}, fmt.Errorf("read the record at %s: %w", at, err)
	}
	return head, nil
}

// segmentFile is the name of the file that a position is in (xlog_internal.h,
// XLogFileName).
func segmentFile(at wal.Point, segmentSize uint64) string {
	segment, perID := uint64(at.LSN)/segmentSize, (1<<32)/segmentSize
	return fmt.Sprintf("%08X%08X%08X", uint32(at.Timeline), segment/perID, segment%perID)
}

// recordReader reads on in one segment, over the headers of its pages.
type recordReader struct {
	file   *os.File
	offset uint64 // in the segment
	size   uint64
	page   uint64 // position in the log of the page that is read from
}

func (r *recordReader) record() (logRecordHead, error) {
	if r.offset%8 != 0 || r.offset%logPage < pageHeader {
		return logRecordHead{}, errRecord
	}
	if err := r.checkPage(); err != nil {
		return logRecordHead{}, err
	}
	head, err := r.read(recordHeader)
	if err != nil {
		return logRecordHead{}, err
	}
	length := binary.NativeEndian.Uint32(head)
	if length < recordHeader || length > recordMost {
		return logRecordHead{}, errRecord
	}
	body, err := r.read(int(length) - recordHeader)
	if err != nil {
		return logRecordHead{}, err
	}
	// The checksum is over the body, and then over the header before it (xloginsert.c,
	// XLogRecordAssemble).
	const checksumAt = 20
	sum := crc32.Update(crc32.Checksum(body, castagnoli), castagnoli, head[:checksumAt])
	if sum != binary.NativeEndian.Uint32(head[checksumAt:]) {
		return logRecordHead{}, errRecord
	}
	return logRecordHead{previous: wal.LSN(binary.NativeEndian.Uint64(head[8:])), kind: head[16] & 0xF0, manager: head[17]}, nil
}

// read reads that many bytes, going over the header of a page that begins on the way.
func (r *recordReader) read(length int) ([]byte, error) {
	out := make([]byte, 0, length)
	for len(out) < length {
		if r.offset >= r.size {
			return nil, errRecord // it goes on in the next segment: none of ours does
		}
		if r.offset%logPage == 0 {
			r.page += logPage
			if err := r.checkPage(); err != nil {
				return nil, err
			}
			r.offset += pageHeader
		}
		part := make([]byte, min(uint64(length-len(out)), logPage-r.offset%logPage))
		if _, err := r.file.ReadAt(part, int64(r.offset)); err != nil {
			return nil, err
		}
		out, r.offset = append(out, part...), r.offset+uint64(len(part))
	}
	return out, nil
}

// checkPage makes sure that the page was written for this position: a segment that was
// recycled holds old ones.
func (r *recordReader) checkPage() error {
	head := make([]byte, segmentHeader)
	start := r.offset - r.offset%logPage
	if _, err := r.file.ReadAt(head, int64(start)); err != nil {
		return err
	}
	first := start == 0
	switch {
	case binary.NativeEndian.Uint64(head[8:]) != r.page,
		first && binary.NativeEndian.Uint32(head[36:]) != logPage,
		first && uint64(binary.NativeEndian.Uint32(head[32:])) != r.size,
		first && r.offset > start && r.offset < segmentHeader:
		return errRecord
	}
	return nil
}
