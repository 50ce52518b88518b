package deadletter

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// cursor tells up to where a file of letters has been dealt with. Immutable.
type cursor struct {
	Offset int64 `json:"offset"` // all frames before it have their fate
	// Head is the checksum of the file's first bytes, so that a cursor is not
	// believed of another file that has got its name.
	Head uint32 `json:"head"`
}

// headBytes is how much of the file the checksum covers, at most Offset.
const headBytes = 4 << 10

// headSum is the checksum for a cursor at an offset.
func headSum(src io.ReaderAt, offset int64) (uint32, error) {
	head := make([]byte, min(offset, headBytes))
	if n, err := src.ReadAt(head, 0); n < len(head) {
		return 0, err
	}
	return crc32.Checksum(head, crc32.MakeTable(crc32.Castagnoli)), nil
}

// saveCursor replaces the cursor of a file, atomically and durably.
func saveCursor(d disk, dir, file string, src io.ReaderAt, offset int64) error {
	sum, err := headSum(src, offset)
	if err != nil {
		return err
	}
	text, err := json.Marshal(cursor{offset, sum})
	if err != nil {
		return err
	}
	return replaceFile(d, filepath.Join(dir, cursorName(file)), append(text, '\n'))
}

// loadCursor returns the offset of a file's cursor, and 0 if there is none. An
// error says why there is one that cannot be believed.
func loadCursor(dir, file string, src io.ReaderAt) (int64, error) {
	text, err := os.ReadFile(filepath.Join(dir, cursorName(file)))
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var c cursor
	if err := json.Unmarshal(text, &c); err != nil {
		return 0, err
	}
	if c.Offset < 0 {
		return 0, fmt.Errorf("offset %d", c.Offset)
	}
	sum, err := headSum(src, c.Offset)
	if err != nil || sum != c.Head {
		return 0, fmt.Errorf("it is of another file")
	}
	return c.Offset, nil
}
