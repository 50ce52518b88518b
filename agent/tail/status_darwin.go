package tail

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// statusOf asks for everything at once.
func statusOf(f *os.File) (status, error) {
	var x unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &x); err != nil {
		return status{}, &os.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	return status{
		inode: inode{uint64(x.Dev), x.Ino},
		size:  x.Size, links: uint64(x.Nlink),
		mtime: time.Unix(x.Mtim.Unix()),
		birth: x.Btim.Nano(),
	}, nil
}
