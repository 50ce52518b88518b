package analysis

import "math/bits"

// Recent remembers the hashes of the last packets, in fixed memory, to tell
// which were there before. It has two generations, tables with open addressing
// of 32-bit fingerprints; when the younger has taken window hashes, the older
// is emptied and becomes the younger. So:
//
//   - at least the last window distinct packets are remembered, at most twice
//     as many;
//   - nothing within that window is missed;
//   - a new packet is taken for a duplicate if a fingerprint agrees in the few
//     slots that are looked at, of tables at most half full: on average 2.5 in
//     each (Knuth's count for an unsuccessful search at load 1/2), 1.5 of them
//     occupied, so below 2 × 1.5 / 2³² ≈ 7e-10 a packet, one in 1.4 billion;
//   - memory is 16 bytes a packet of the window: 8 MiB for the default.
//
// A Bloom filter of the same memory would be wrong about as rarely, but costs
// several cache misses where this costs one. Not safe for concurrent use.
type Recent struct {
	window int
	bits   uint // log2 of the slots of a generation
	count  int  // hashes in the younger
	young  []uint32
	old    []uint32
}

// DefaultWindow is how many packets are remembered at least.
const DefaultWindow = 1 << 19

// NewRecent remembers at least window packets, rounded up to a power of two.
func NewRecent(window int) *Recent {
	b := uint(bits.Len(uint(max(window, 64) - 1)))
	return &Recent{window: 1 << b, bits: b + 1,
		young: make([]uint32, 1<<(b+1)), old: make([]uint32, 1<<(b+1))}
}

// Window returns how many packets are remembered at least.
func (r *Recent) Window() int { return r.window }

// Seen says whether the packet of this hash was seen within the window, and
// remembers it. A packet that keeps coming is remembered from each time on.
func (r *Recent) Seen(hash uint64) bool {
	slot := int(hash >> (64 - r.bits))
	print := max(uint32(hash), 1) // 0 is an empty slot
	free, seen := find(r.young, slot, print)
	if seen {
		return true
	}
	_, seen = find(r.old, slot, print)
	if r.count == r.window {
		r.young, r.old, r.count = r.old, r.young, 0
		clear(r.young)
		free = slot
	}
	r.young[free] = print
	r.count++
	return seen
}

// find looks for print from slot on and returns where it, or the free slot
// behind, is. Tables are at most half full, so it ends.
func find(table []uint32, slot int, print uint32) (int, bool) {
	for {
		slot &= len(table) - 1
		switch table[slot] {
		case print:
			return slot, true
		case 0:
			return slot, false
		}
		slot++
	}
}
