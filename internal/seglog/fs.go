package seglog

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// FS is what a log needs of a file system, so that tests can make each step of
// it fail, stall or stop half way. Safe for concurrent use.
type FS interface {
	Create(path string) (File, error) // to read and write; the file must not exist
	Open(path string) (File, error)   // to read and write
	ReadDir(dir string) ([]fs.DirEntry, error)
	Exists(path string) (bool, error)
	Rename(from, to string) error
	Remove(path string) error
	SyncDir(dir string) error
	Free(dir string) (bytes int64, err error) // that we may still write
}

// File is a file of an FS. Safe for concurrent use.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	// Allocate makes the file that long and allocates every byte of it, so that
	// writing to it cannot fail for want of space.
	Allocate(size int64) error
	Truncate(size int64) error
	Sync() error  // data, and what is needed to read it
	Linked() bool // false once somebody has deleted it
}

// Only the owner may read what is logged.
const (
	folderMode = 0o700
	fileMode   = 0o600
)

// OS is the operating system's file system. Immutable.
type OS struct{}

// Create implements [FS].
func (OS) Create(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Open implements [FS].
func (OS) Open(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// ReadDir implements [FS].
func (OS) ReadDir(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }

// Exists implements [FS].
func (OS) Exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Rename implements [FS].
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements [FS].
func (OS) Remove(path string) error { return os.Remove(path) }

// SyncDir implements [FS].
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Free implements [FS].
func (OS) Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(min(st.Bavail, 1<<40)) * int64(st.Bsize), nil
}

// osFile adds to a file what os.File lacks. Safe for concurrent use.
type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f osFile) Allocate(size int64) error {
	err := allocate(f.File, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return writeZeros(f.File, size)
	}
	return err
}

// writeZeros allocates on a file system that cannot allocate otherwise.
func writeZeros(f *os.File, size int64) error {
	zeros := make([]byte, 64<<10)
	for off := int64(0); off < size; off += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off); err != nil {
			return err
		}
	}
	return nil
}

func (f osFile) Sync() error { return syncData(f.File) }

func (f osFile) Linked() bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) != nil || st.Nlink > 0
}

// MakeFolder creates a folder and its parents, and makes the last step durable.
func MakeFolder(files FS, dir string) error {
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(filepath.Clean(dir)))
}
