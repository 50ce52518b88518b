package deadletter

import (
	"testing"

	"sluice/internal/seglog"
)

// TryReserve and Release are paid by every 202.
func BenchmarkReserve(b *testing.B) {
	s := openStore(b, Config{Dir: b.TempDir(), MaxBytes: 1 << 40}, seglog.OS{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if s.TryReserve(200) {
				s.Release(200)
			}
		}
	})
}
