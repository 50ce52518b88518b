package tail

import (
	"hash/crc32"
	"hash/fnv"
	"io"
	"strconv"
	"time"
)

// printBytes is how much of a file's beginning its fingerprint covers, once
// there is so much.
const printBytes = 1 << 10

// inode names a file while it exists.
type inode struct{ dev, ino uint64 }

// fingerprint is a checksum of a file's first bytes. That of a young file
// covers what there was, and grows with it.
type fingerprint struct {
	sum uint64
	len int
}

// checksum continues a checksum over b: two CRCs side by side, because
// processors compute them faster than they read, and because they can be
// continued from a number in the checkpoint.
type checksum struct{ c, ieee *crc32.Table }

func newChecksum() checksum {
	return checksum{crc32.MakeTable(crc32.Castagnoli), crc32.IEEETable}
}

func (t checksum) add(sum uint64, b []byte) uint64 {
	c := crc32.Update(uint32(sum>>32), t.c, b)
	return uint64(c)<<32 | uint64(crc32.Update(uint32(sum), t.ieee, b))
}

// matches says whether head, the first bytes of a file, is of the file that had
// the fingerprint p.
func (t checksum) matches(p fingerprint, head []byte) bool {
	return len(head) >= p.len && t.add(0, head[:p.len]) == p.sum
}

func (t checksum) printOf(head []byte) fingerprint { return fingerprint{t.add(0, head), len(head)} }

// readHead reads the bytes that a fingerprint covers.
func readHead(f io.ReaderAt, buf *[printBytes]byte) ([]byte, error) {
	n, err := f.ReadAt(buf[:], 0)
	if err == io.EOF {
		err = nil
	}
	return buf[:n], err
}

// status is what the kernel says about an open file.
type status struct {
	inode
	birth int64 // creation, Unix ns; 0: the file system does not tell
	size  int64
	mtime time.Time
	links uint64
}

// newID names one life of a file: its identity, and when it was found, because
// an inode may be used again for a file that begins in the same way. It is in
// the state folder before any packet carries it.
func newID(st status, p fingerprint, now time.Time) string {
	h := fnv.New64a()
	for _, v := range []uint64{st.dev, st.ino, uint64(st.birth), p.sum, uint64(p.len), uint64(now.UnixNano())} {
		var b [8]byte
		for i := range b {
			b[i] = byte(v >> (8 * i))
		}
		h.Write(b[:])
	}
	return strconv.FormatUint(h.Sum64()|1<<63, 16) // always 16 digits
}
