package analysis

import (
	"container/heap"
	"sort"
)

// maxName is how many bytes of a name are kept; longer ones that agree so far
// are counted as one.
const maxName = 256

// Top counts the most frequent names in fixed memory: the Space-Saving
// algorithm (Metwally, Agrawal, El Abbadi: "Efficient Computation of Frequent
// and Top-k Elements in Data Streams", 2005). It keeps capacity names; a new
// one takes the place of the least counted and inherits its count as its
// possible error. So after counts of n in all:
//
//   - a shown count is never too low, and too high by at most its Error,
//     which is at most n / capacity;
//   - every name that occurred more than n / capacity times is kept.
//
// With 100 names kept, whatever makes up over 1 % is certain to be there.
// Not safe for concurrent use.
type Top struct {
	capacity int
	byName   map[string]*entry
	least    entryHeap
}

// A Count is a name, how often it occurred, and by how much that may be too
// high: 0 as long as there were no more names than are kept.
type Count struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
	Error uint64 `json:"error,omitempty"`
}

type entry struct {
	Count
	at int // position in the heap
}

// NewTop keeps capacity names, at least one.
func NewTop(capacity int) *Top {
	capacity = max(capacity, 1)
	return &Top{capacity: capacity, byName: make(map[string]*entry, capacity)}
}

// Add counts name n times.
func (t *Top) Add(name string, n uint64) {
	name = name[:min(len(name), maxName)]
	if e := t.byName[name]; e != nil {
		e.Count.Count += n
		heap.Fix(&t.least, e.at)
		return
	}
	if len(t.least) < t.capacity {
		e := &entry{Count: Count{Name: name, Count: n}}
		t.byName[e.Name] = e
		heap.Push(&t.least, e)
		return
	}
	e := t.least[0]
	delete(t.byName, e.Name)
	e.Name, e.Error = name, e.Count.Count
	e.Count.Count += n
	t.byName[e.Name] = e
	heap.Fix(&t.least, 0)
}

// Largest returns the n largest counts, largest first, and by name where they
// are equal. It is never nil.
func (t *Top) Largest(n int) []Count {
	all := make([]Count, 0, len(t.least))
	for _, e := range t.least {
		all = append(all, e.Count)
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].Count != all[j].Count {
			return all[i].Count > all[j].Count
		}
		return all[i].Name < all[j].Name
	})
	return all[:min(n, len(all))]
}

// entryHeap has the least counted name first.
type entryHeap []*entry

func (h entryHeap) Len() int           { return len(h) }
func (h entryHeap) Less(i, j int) bool { return h[i].Count.Count < h[j].Count.Count }
func (h entryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}
func (h *entryHeap) Push(x any) {
	e := x.(*entry)
	e.at = len(*h)
	*h = append(*h, e)
}
func (h *entryHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	*h = (*h)[:last]
	return e
}
