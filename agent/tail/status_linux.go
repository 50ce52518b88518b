package tail

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// statusOf asks for everything at once.
func statusOf(f *os.File) (status, error) {
	var x unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &x)
	if err != nil {
		return status{}, &os.PathError{Op: "statx", Path: f.Name(), Err: err}
	}
	s := status{
		inode: inode{unix.Mkdev(x.Dev_major, x.Dev_minor), x.Ino},
		size:  int64(x.Size), links: uint64(x.Nlink),
		mtime: time.Unix(x.Mtime.Sec, int64(x.Mtime.Nsec)),
	}
	if x.Mask&unix.STATX_BTIME != 0 {
		s.birth = x.Btime.Sec*1e9 + int64(x.Btime.Nsec)
	}
	return s, nil
}
