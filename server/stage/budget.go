package stage

import "sync/atomic"

// Budget counts the bytes in use by all loops. Safe for concurrent use.
type Budget struct {
	limit atomic.Int64
	used  atomic.Int64
}

// SetLimit sets how many bytes may be in use. What is over a lower limit stays.
func (b *Budget) SetLimit(bytes int64) { b.limit.Store(bytes) }

// Used returns the bytes in use.
func (b *Budget) Used() int64 { return b.used.Load() }

// Limit returns the bytes that may be in use.
func (b *Budget) Limit() int64 { return b.limit.Load() }

// TryTake charges n bytes; false means that nothing was charged.
func (b *Budget) TryTake(n int64) bool {
	if b.used.Add(n) > b.limit.Load() {
		b.used.Add(-n)
		return false
	}
	return true
}

// Take charges n bytes, also past the limit.
func (b *Budget) Take(n int64) { b.used.Add(n) }

// Give gives n bytes back.
func (b *Budget) Give(n int64) { b.used.Add(-n) }

// Places counts the frames that wait without a link, over all loops, and places
// reserved for frames on their way in. Safe for concurrent use.
type Places struct {
	limit atomic.Int64
	taken atomic.Int64
}

// SetLimit sets how many places there are. Who has one keeps it.
func (p *Places) SetLimit(n int) { p.limit.Store(int64(n)) }

// Taken returns how many places are taken.
func (p *Places) Taken() int { return int(p.taken.Load()) }

// TryTake takes n places; false means that none was taken.
func (p *Places) TryTake(n int) bool {
	if p.taken.Add(int64(n)) > p.limit.Load() {
		p.taken.Add(-int64(n))
		return false
	}
	return true
}

// Give gives n places back.
func (p *Places) Give(n int) { p.taken.Add(-int64(n)) }

// Filled says that at least num/den of the places are taken.
func (p *Places) Filled(num, den int64) bool { return p.taken.Load()*den >= p.limit.Load()*num }
