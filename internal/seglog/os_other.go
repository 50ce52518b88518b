//go:build !linux

package seglog

import (
	"os"

	"golang.org/x/sys/unix"
)

func allocate(*os.File, int64) error { return unix.EOPNOTSUPP }

func syncData(f *os.File) error { return f.Sync() }
