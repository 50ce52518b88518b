package tail

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/protocol"
)

// The offset is always the end of the longest delivered beginning, in whatever
// order the answers come.
func TestLedgerMovesOverContiguousRangesOnly(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var l ledger
		l.reset(100, 7)
		ends, done := []int64{100}, map[int64]bool{100: true}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			if rapid.Bool().Draw(rt, "add") {
				end := ends[len(ends)-1] + rapid.Int64Range(1, 9).Draw(rt, "size")
				ends = append(ends, end)
				l.add(end, uint64(end), time.Time{})
				continue
			}
			var open []int64
			for _, e := range ends {
				if !done[e] {
					open = append(open, e)
				}
			}
			if len(open) == 0 {
				continue
			}
			end := rapid.SampledFrom(open).Draw(rt, "delivered")
			before := l.progress().acked
			acked, sum, moved := l.delivered(end)
			done[end] = true
			want, left := int64(0), 0
			for _, e := range ends {
				if !done[e] {
					left++
				} else if left == 0 {
					want = e
				}
			}
			p := l.progress()
			if acked != want || p.acked != want || moved != (want > before) || want > 100 && sum != uint64(want) {
				rt.Fatalf("acked %d, sum %d, moved %v; want %d after %d", acked, sum, moved, want, before)
			}
			if p.open != left || p.unsettled != ends[len(ends)-1]-want {
				rt.Fatalf("%+v, want %d open", p, left)
			}
		}
	})
}

// A refusal holds the offset, and the largest refused body is kept.
func TestLedgerRefusal(t *testing.T) {
	var l ledger
	for end := range int64(3) {
		l.add(end+1, 0, time.Time{})
	}
	l.delivered(1)
	l.undelivered(protocol.NackTooLarge, 50)
	l.delivered(3)
	if p := l.progress(); p.acked != 1 || p.open != 0 || p.refusal != protocol.NackTooLarge || p.refused != 50 || p.unsettled != 2 {
		t.Errorf("%+v", p)
	}
	l.reset(1, 0)
	if p := l.progress(); p != (progress{acked: 1}) {
		t.Errorf("%+v", p)
	}
}

func TestFingerprints(t *testing.T) {
	sums := newChecksum()
	p := sums.printOf([]byte("abc"))
	for head, want := range map[string]bool{"abc": true, "abcd": true, "ab": false, "abd": false, "": false} {
		if sums.matches(p, []byte(head)) != want {
			t.Errorf("%q: %v", head, !want)
		}
	}
	if !sums.matches(sums.printOf(nil), []byte("anything")) {
		t.Error("an empty file cannot grow")
	}
	if sums.add(sums.add(0, []byte("ab")), []byte("c")) != p.sum {
		t.Error("a checksum cannot be continued")
	}
}

// With no distributor there, a copy must not be shipped beside its original.
func TestDoubtOutlastsAnOutage(t *testing.T) {
	begin := time.Now()
	d := doubt{of: "original", since: begin}
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	for s := range 100 {
		if !d.waits(progress{open: 1}, at(s)) {
			t.Fatalf("the doubt ended after %d s without an answer", s)
		}
	}
	end := 100
	for ; d.waits(progress{open: 1, acked: int64(end)}, at(end)); end++ { // busy: it always has a packet on its way
		if end > 200 {
			t.Fatal("the doubt never ends")
		}
	}
	if end-99 < int(copyPatience/time.Second) {
		t.Errorf("the doubt ended %d s after the outage", end-99)
	}
}
