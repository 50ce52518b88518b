package seglog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// LockName is the file of a folder that is locked.
const LockName = "lock"

// A LockedError says that another process writes the folder. Immutable.
type LockedError struct {
	Dir string
	PID int // 0: not known
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("folder %s is in use by another process", e.Dir)
	}
	return fmt.Sprintf("folder %s is in use by process %d", e.Dir, e.PID)
}

// LockFolder locks a folder until the result is closed, or the process ends
// however it ends. One that another process has locked is a *[LockedError]. The
// lock file stays: deleting it would let two processes lock two files of that
// name.
func LockFolder(dir string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, LockName), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		text, _ := io.ReadAll(io.LimitReader(f, 32)) // only to name it
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		err = &LockedError{dir, pid}
	} else if err == nil {
		// The pid is for people; a disk without space for it is locked all the same.
		_ = f.Truncate(0)
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		return f, nil
	}
	_ = f.Close() // nothing was written
	return nil, err
}
