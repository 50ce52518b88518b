package ship

import (
	"sync"
	"time"
)

const (
	// firstBatch is the raw bytes of a packet before anything is known of the way
	// to the distributor. A fast one is found out within a few round trips.
	firstBatch = 4 << 10

	// smallestBatch is where halving ends: what is around the records of a packet
	// weighs as much as they do then.
	smallestBatch = 1 << 10

	// quick is how long a packet may be under way for the next ones to be twice as
	// large.
	quick = time.Second

	// lookEvery is how often the client is asked whether connections have timed
	// out.
	lookEvery = 250 * time.Millisecond
)

// pace says how large packets are to be. The obvious size is the largest that is
// allowed, as it costs least for each record. On a link of 8 kbit/s such a packet
// takes two minutes, in which a receiver may well take its sender for dead, and
// whatever breaks the connection throws two minutes away. So packets begin small,
// double while they are delivered quickly, stay as they are while it takes its
// time, and halve each time that frames did not get through in time.
//
// Safe for concurrent use.
type pace struct {
	most int // bytes

	mu       sync.Mutex
	batch    int    // bytes
	timedOut uint64 // connections, of those that batch was halved for
	looked   time.Time
}

func newPace(most int) *pace { return &pace{most: most, batch: min(most, firstBatch)} }

// now returns the raw bytes that a packet is to have.
func (p *pace) now(at time.Time, timedOut func() uint64) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.Sub(p.looked) >= lookEvery {
		p.looked = at
		if n := timedOut(); n > p.timedOut {
			p.timedOut = n
			p.batch = min(p.most, max(smallestBatch, p.batch/2))
		}
	}
	return p.batch
}

// delivered tells of a packet, its raw bytes and how long it was under way. One
// that is much smaller than it might have been says nothing about larger ones.
func (p *pace) delivered(bytes int, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if took <= quick && bytes > p.batch/2 {
		p.batch = min(p.most, 2*p.batch)
	}
}
