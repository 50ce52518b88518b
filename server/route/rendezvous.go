package route

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// keyedTarget is what rendezvous hashing needs to know of one target. Immutable.
type keyedTarget struct {
	index   int32
	salt    uint64
	inverse float64 // 1/weight
}

// Rendezvous gives the target that a key sticks to, or -1 if the table is
// Empty: weighted rendezvous hashing. Every target with a weight above zero
// draws a number from key and its own index, −ln(u)/weight with u uniform in
// (0,1), and the lowest wins, which happens in proportion to the weights
// (exponential clocks; C. Schindelhauer and G. Schomaker, "Weighted
// Distributed Hash Tables", 2005).
//
// A target's draw depends on its own weight only. So when one weight changes,
// the keys that move are those which that target gains or loses, and no
// others; a ring or a modulus would move many more.
//
// It costs one logarithm per target and does not allocate. The choice is the
// same in every process, now and after a restart.
func (t *Table) Rendezvous(key []byte) int {
	if len(t.keyed) == 0 {
		return -1
	}
	h := hash(key)
	best, lowest := -1, math.Inf(1)
	for i := range t.keyed {
		k := &t.keyed[i]
		u := (float64(mix(h^k.salt, golden)>>11) + 0.5) * 0x1p-53
		if draw := -math.Log(u) * k.inverse; draw < lowest {
			best, lowest = int(k.index), draw
		}
	}
	return best
}

// keyTargets takes the weights as they are, not normalised: a draw must not
// change, not even in its last bit, because somebody else's weight did.
func keyTargets(weights []float64) []keyedTarget {
	var targets []keyedTarget
	for i, w := range weights {
		if w == 0 {
			continue
		}
		targets = append(targets, keyedTarget{
			index: int32(i),
			salt:  mix(uint64(i)+1, golden),
			// −ln(u) is below 64, so a draw of even the tiniest weight stays finite.
			inverse: min(1/w, math.MaxFloat64/64),
		})
	}
	return targets
}

// golden is 2^64 divided by the golden ratio, rounded to an odd number: the
// usual multiplier of hashing by multiplication (Knuth). To change it is to
// move every key.
const golden = 0x9E3779B97F4A7C15

// hash is deterministic on purpose: two distributors must send one agent's
// packets to the same analyzer. It need not resist an attacker: who can choose
// keys can choose the analyzer by sending more to it, too.
func hash(key []byte) uint64 {
	h := mix(uint64(len(key))+1, golden)
	for len(key) >= 8 {
		h = mix(h^binary.LittleEndian.Uint64(key), golden)
		key = key[8:]
	}
	var tail [8]byte
	copy(tail[:], key)
	return mix(h^binary.LittleEndian.Uint64(tail[:]), golden)
}

// mix is a bijection of a followed by a fold of the full product: xor-shifts
// and two odd multiplications, then the high word folded into the low.
func mix(a, b uint64) uint64 {
	a ^= a >> 32
	a *= 0xD6E8FEB86659FD93
	a ^= a >> 29
	hi, lo := bits.Mul64(a^b, golden)
	return lo ^ hi ^ a
}
