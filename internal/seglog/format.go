package seglog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

const (
	segmentMagic = "SLUICES1"
	batchMagic   = 0x5EA10601
	digits       = 16
	suffixLive   = ".seg"
	suffixBad    = ".seg.bad" // and perhaps a number
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func align(n int64) int64 { return (n + alignBytes - 1) &^ (alignBytes - 1) }

// charge is what a block takes at most.
func charge(block int) int64 { return int64(block) + chargeBytes }

// batchSize is what a batch takes in the file.
func batchSize(blocks int, bytes int64) int64 {
	return align(batchHeaderBytes + int64(blocks)*blockOverheadBytes + bytes)
}

// segmentName is the name of a segment.
func segmentName(prefix string, sequence int64) string {
	return fmt.Sprintf("%s-%0*d%s", prefix, digits, sequence, suffixLive)
}

// ParseName tells the sequence of a segment, and whether it was set aside; false
// for every other file.
func ParseName(prefix, name string) (sequence int64, aside, ours bool) {
	rest, ok := strings.CutPrefix(name, prefix+"-")
	if !ok || len(rest) < digits || strings.Trim(rest[:digits], "0123456789") != "" {
		return 0, false, false
	}
	sequence, err := strconv.ParseInt(rest[:digits], 10, 64)
	if err != nil {
		return 0, false, false
	}
	rest = rest[digits:]
	aside = strings.HasPrefix(rest, suffixBad)
	return sequence, aside, aside || rest == suffixLive
}

// CreatedAt is the time that a sequence stands for.
func CreatedAt(sequence int64) time.Time { return time.UnixMicro(sequence) }

func appendSegmentHeader(dst []byte, sequence int64) []byte {
	from := len(dst)
	dst = append(dst, segmentMagic...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(sequence))
	dst = append(dst, make([]byte, segmentHeaderBytes-20)...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
}

func isSegmentHeader(b []byte, sequence int64) bool {
	return string(b[:8]) == segmentMagic && binary.LittleEndian.Uint64(b[8:]) == uint64(sequence) &&
		binary.LittleEndian.Uint32(b[28:]) == crc32.Checksum(b[:28], castagnoli)
}

// batchHeader is the head of a batch. Immutable.
type batchHeader struct {
	blocks  int
	bytes   int64
	sum     uint32
	durable int64
}

func (h batchHeader) size() int64 { return batchSize(h.blocks, h.bytes) }
func (h batchHeader) seal() bool  { return h.blocks == 0 }

// appendBatch appends a batch of the blocks that lengths cut body into.
func appendBatch(dst []byte, sequence, durable int64, lengths []uint32, body []byte) []byte {
	from := len(dst)
	dst = append(dst, make([]byte, batchHeaderBytes+len(lengths))...) // no block has a mark
	summed := len(dst)
	for _, n := range lengths {
		dst = binary.LittleEndian.AppendUint32(dst, n)
	}
	dst = append(dst, body...)
	h := dst[from:]
	binary.LittleEndian.PutUint32(h, batchMagic)
	binary.LittleEndian.PutUint32(h[4:], uint32(len(lengths)))
	binary.LittleEndian.PutUint32(h[8:], uint32(len(body)))
	binary.LittleEndian.PutUint32(h[12:], crc32.Checksum(dst[summed:], castagnoli))
	binary.LittleEndian.PutUint64(h[16:], uint64(durable))
	binary.LittleEndian.PutUint32(h[24:], uint32(sequence))
	binary.LittleEndian.PutUint32(h[28:], crc32.Checksum(h[:28], castagnoli))
	for int64(len(dst)-from) < batchSize(len(lengths), int64(len(body))) {
		dst = append(dst, 0)
	}
	return dst
}

func parseBatchHeader(b []byte, sequence int64) (h batchHeader, ok bool) {
	if binary.LittleEndian.Uint32(b) != batchMagic || binary.LittleEndian.Uint32(b[24:]) != uint32(sequence) ||
		binary.LittleEndian.Uint32(b[28:]) != crc32.Checksum(b[:28], castagnoli) {
		return h, false
	}
	h = batchHeader{
		blocks: int(binary.LittleEndian.Uint32(b[4:])), bytes: int64(binary.LittleEndian.Uint32(b[8:])),
		sum: binary.LittleEndian.Uint32(b[12:]), durable: int64(binary.LittleEndian.Uint64(b[16:])),
	}
	return h, h.blocks <= maxBatchBlocks && h.bytes <= maxBodyBytes
}

// isBatch judges the checksum of a whole batch, and its lengths.
func (h batchHeader) isBatch(b []byte) bool {
	summed := b[batchHeaderBytes+h.blocks : batchHeaderBytes+int64(h.blocks)*blockOverheadBytes+h.bytes]
	if crc32.Checksum(summed, castagnoli) != h.sum {
		return false
	}
	total := int64(0)
	for i := range h.blocks {
		total += int64(binary.LittleEndian.Uint32(summed[4*i:]))
	}
	return total == h.bytes
}

// settledMark is the mark of a settled block; marks below it are the user's.
const settledMark = 15

// MaxMark is the largest mark that a block can have before it is settled.
const MaxMark = settledMark - 1

// encodeMark has a distance of two bits between any two marks, and of four to
// the zero of a new block, so that no single flipped bit settles anything.
func encodeMark(m uint8) byte { return m | ^m<<4 }

func decodeMark(b byte) uint8 {
	if m := b & 15; encodeMark(m) == b {
		return m
	}
	return 0
}
