package intake

import "sort"

// pending is a batch that somebody wants to hear of.
type pending struct {
	first  uint64 // number of its first frame
	count  int
	left   int // frames without a fate
	hearer Hearer
}

// pendings finds by a frame's number who is to hear of it. Batches are numbered
// in order, so they are a sorted queue; one in the middle that is over stays until
// those before it are. Owned by one loop.
type pendings struct {
	list []pending // list[head:] is in use
	head int
}

func (p *pendings) await(first uint64, count int, hearer Hearer) {
	if hearer == nil {
		return
	}
	if p.head > 0 && len(p.list) == cap(p.list) { // reuse what was left behind, rather than grow
		n := copy(p.list, p.list[p.head:])
		clear(p.list[n:])
		p.list, p.head = p.list[:n], 0
	}
	p.list = append(p.list, pending{first: first, count: count, left: count, hearer: hearer})
}

// forgetLast takes back the last await, of a batch that was not taken after all.
func (p *pendings) forgetLast(hearer Hearer) {
	if hearer == nil {
		return
	}
	p.list[len(p.list)-1] = pending{}
	p.list = p.list[:len(p.list)-1]
}

// settled tells those who wait for any of the frames first … first+count-1.
func (p *pendings) settled(first, count uint64, run Run) {
	end := first + count
	used := p.list[p.head:]
	i := sort.Search(len(used), func(i int) bool { return used[i].first+uint64(used[i].count) > first })
	for ; i < len(used) && used[i].first < end; i++ {
		b := &used[i]
		from, to := max(first, b.first), min(end, b.first+uint64(b.count))
		run.First, run.Count = int(from-b.first), int(to-from)
		b.left -= run.Count
		b.hearer.Settled(run)
	}
	for p.head < len(p.list) && p.list[p.head].left == 0 {
		p.list[p.head] = pending{}
		p.head++
	}
	if p.head == len(p.list) {
		p.list, p.head = p.list[:0], 0
	}
}
