package deadletter

import (
	"os"
	"path/filepath"
	"testing"
)

// TryReserve and Release are paid by every 202.
func BenchmarkReserve(b *testing.B) {
	s := openStore(b, Config{Dir: b.TempDir(), MaxBytes: 1 << 40}, realDisk{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if s.TryReserve(200) {
				s.Release(200)
			}
		}
	})
}

// Open reads all files once: bytes a second is how long a start takes.
func BenchmarkSurvey(b *testing.B) {
	dir := b.TempDir()
	var data []byte
	for len(data) < fileBytes-300 {
		data = append(data, packet(len(data), 100)...)
	}
	for i := range 16 {
		if err := os.WriteFile(filepath.Join(dir, fileName(Waiting, int64(i+1))), data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	v := surveyor{disk: realDisk{}, dir: dir, max: 1 << 20, warn: func(string, string, ...any) {}}
	b.SetBytes(int64(16 * len(data)))
	for b.Loop() {
		if files, _, err := v.survey(); err != nil || len(files) != 16 {
			b.Fatal(err)
		}
	}
}
