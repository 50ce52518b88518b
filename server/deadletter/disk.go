package deadletter

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk is what the store needs of a file system, so that tests can make each
// step of it fail. Safe for concurrent use.
type disk interface {
	create(path string) (handle, error) // for writing; the file must not exist
	open(path string) (source, error)
	cut(path string, size int64) error // truncates and fsyncs
	rename(from, to string) error
	remove(path string) error
	syncDir(dir string) error
	free(dir string) (bytes int64, err error) // that we may still write
}

// handle is a file that is written. Owned by one goroutine.
type handle interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
	linked() bool // false once somebody has deleted it
}

// source is a file that is read. Owned by one goroutine.
type source interface {
	io.ReaderAt
	io.Closer
}

// Only the owner may read what customers logged.
const (
	folderMode = 0o700
	fileMode   = 0o600
)

// realDisk is the operating system's. Immutable.
type realDisk struct{}

func (realDisk) create(path string) (handle, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return nil, err
	}
	return realHandle{f}, nil
}

func (realDisk) open(path string) (source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (realDisk) cut(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (realDisk) rename(from, to string) error { return os.Rename(from, to) }
func (realDisk) remove(path string) error     { return os.Remove(path) }

func (realDisk) syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (realDisk) free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(min(st.Bavail, 1<<40)) * int64(st.Bsize), nil
}

// realHandle adds to a file whether it still has a name. Owned by one goroutine.
type realHandle struct{ *os.File }

func (h realHandle) linked() bool {
	var st unix.Stat_t
	return unix.Fstat(int(h.Fd()), &st) != nil || st.Nlink > 0
}

// makeFolder creates a folder and its parents, and makes the last step durable.
func makeFolder(d disk, dir string) error {
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(filepath.Clean(dir)))
}

// replaceFile writes a small file so that a crash leaves the old or the new one.
func replaceFile(d disk, path string, data []byte) error {
	tmp := path + suffixTemp
	if err := d.remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	h, err := d.create(tmp)
	if err != nil {
		return err
	}
	_, err = h.Write(data)
	if err == nil {
		err = h.Sync()
	}
	if err = errors.Join(err, h.Close()); err == nil {
		err = d.rename(tmp, path)
	}
	if err != nil {
		_ = d.remove(tmp) // it would be in nobody's way
		return err
	}
	return d.syncDir(filepath.Dir(path))
}
