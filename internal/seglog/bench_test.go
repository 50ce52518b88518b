package seglog

import (
	"runtime"
	"sync/atomic"
	"testing"
)

// Bytes a second are durable; a log is bound by how many syncs a disk makes.
func BenchmarkAppend(b *testing.B) {
	for name, size := range map[string]int{"200B": 200, "256KiB": 256 << 10} {
		b.Run(name, func(b *testing.B) {
			l := openLog(b, b.TempDir(), OS{}, func(c *Config) { c.SegmentBytes, c.Rhythm = 64<<20, DefaultRhythm() })
			block := make([]byte, size)
			var kept atomic.Int64
			b.SetBytes(int64(size))
			for b.Loop() {
				for !l.TryReserve(size) { // the disk is behind
					runtime.Gosched()
				}
				l.Append(block, func(error) { kept.Add(1) })
			}
			durable(b, l)
		})
	}
}
