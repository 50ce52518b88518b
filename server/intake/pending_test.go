package intake

import (
	"testing"

	"pgregory.net/rapid"
)

// told notes of which frames of its batch somebody heard.
type told struct {
	t     *rapid.T
	heard []bool
}

func (h *told) Settled(r Run) {
	for i := r.First; i < r.First+r.Count; i++ {
		if h.heard[i] {
			h.t.Fatalf("frame %d of the batch has two fates", i)
		}
		h.heard[i] = true
	}
}

// Whoever waits for a batch hears of each of its frames once, in whatever runs and
// whatever order they are settled.
func TestPendings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pendings
		var all []*told // by number, nil where nobody waits
		var index []int // by number, its place in the batch
		var open []uint64
		t.Repeat(map[string]func(*rapid.T){
			"await": func(t *rapid.T) {
				n := rapid.IntRange(1, 5).Draw(t, "frames")
				var h *told
				if rapid.Bool().Draw(t, "waits") {
					h = &told{t: t, heard: make([]bool, n)}
					p.await(uint64(len(all))+1, n, h)
					if rapid.IntRange(0, 9).Draw(t, "refused") == 0 {
						p.forgetLast(h)
						return
					}
				}
				for i := range n {
					all, index = append(all, h), append(index, i)
					open = append(open, uint64(len(all)))
				}
			},
			"settle": func(t *rapid.T) {
				if len(open) == 0 {
					return
				}
				i := rapid.IntRange(0, len(open)-1).Draw(t, "from")
				j := i + 1
				for j < len(open) && open[j] == open[j-1]+1 && rapid.Bool().Draw(t, "more") {
					j++
				}
				p.settled(open[i], uint64(j-i), Run{Delivered: true})
				for _, n := range open[i:j] {
					if h := all[n-1]; h != nil && !h.heard[index[n-1]] {
						t.Fatalf("nobody heard of frame %d", n)
					}
				}
				open = append(open[:i:i], open[j:]...)
			},
			"": func(t *rapid.T) {
				if len(open) == 0 && len(p.list) != 0 {
					t.Fatalf("%d batches are kept, and nothing is open", len(p.list)-p.head)
				}
			},
		})
	})
}
