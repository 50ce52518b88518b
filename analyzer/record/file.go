// Package record keeps what an analyzer received: packet ids one a line
// (receipts), and messages as NDJSON (output). What is written is with the
// kernel when the call returns, so it survives the process being killed; it is
// not synced, so it does not survive loss of power.
package record

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// File is a file that whole lines are appended to, several writers taking
// turns. Safe for concurrent use.
type File struct {
	mu   sync.Mutex
	f    *os.File
	torn bool // the file may end inside a line
	err  error
}

// Open opens a file for appending and creates it if need be. A file that ends
// inside a line (whoever wrote it was cut off) is continued on a new line.
func Open(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrInvalid) {
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	}
	if err != nil {
		return nil, err
	}
	file := &File{f: f}
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() && st.Size() > 0 {
		last := []byte{0}
		_, err := f.ReadAt(last, st.Size()-1)
		file.torn = err != nil || last[0] != '\n'
	}
	return file, nil
}

// Append hands whole lines to the kernel, in one write. After an error the
// lines are to be given again; what was written of them is ended by a newline
// first.
func (w *File) Append(lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.torn {
		if _, w.err = w.f.Write([]byte{'\n'}); w.err != nil {
			return w.err
		}
		w.torn = false
	}
	n, err := w.f.Write(lines)
	w.err = err
	if err != nil {
		w.torn = n > 0 && lines[n-1] != '\n'
		return fmt.Errorf("cannot write to %s: %w", w.f.Name(), err)
	}
	return nil
}

// Err returns the error of the last Append, nil if it was fine.
func (w *File) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close closes the file.
func (w *File) Close() error { return w.f.Close() }
