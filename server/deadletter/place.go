package deadletter

import "sync/atomic"

// place is the account of bytes: used is what files and reservations take
// together, and never grows past limit by a reservation. Only frames that move
// from one file to another overdraw it, by a file at most: the new copy is
// charged before the old file goes. Safe for concurrent use.
type place struct {
	limit    atomic.Int64 // MaxBytes, or less when the disk has less
	used     atomic.Int64
	reserved atomic.Int64
	wanted   atomic.Int64 // size of the last reservation, if it was refused for want of room
	shut     atomic.Bool
}

func (p *place) take(size int64) bool {
	for !p.shut.Load() {
		used := p.used.Load()
		if used+size > p.limit.Load() {
			p.wanted.Store(size)
			return false
		}
		if p.used.CompareAndSwap(used, used+size) {
			p.reserved.Add(size)
			if p.wanted.Load() != 0 {
				p.wanted.Store(0)
			}
			return true
		}
	}
	return false
}

// overdraw reserves for a frame that moves.
func (p *place) overdraw(size int64) {
	p.used.Add(size)
	p.reserved.Add(size)
}

func (p *place) full() bool {
	wanted := p.wanted.Load()
	return wanted > 0 && p.used.Load()+wanted > p.limit.Load()
}

// TryReserve takes a place for one frame of size bytes, header included. It is
// given back with Release, or used up with Put. False: there is no room, or the
// folder cannot be written, or not as fast as dead letters come. It costs a few atomic operations.
func (s *Store) TryReserve(size int) bool {
	return s.writable.Load() && s.unsafe.Load() < pendingBytes && s.take(int64(size))
}

// Release gives the place of a frame of size bytes back: it was delivered.
func (s *Store) Release(size int) {
	s.used.Add(-int64(size))
	s.reserved.Add(-int64(size))
}
