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
	largest := refusal{protocol.NackTooLarge, 3, 40, 50}
	l.undelivered(largest)
	l.open += 2
	l.undelivered(refusal{protocol.NackTooLarge, 1, 10, 20})
	l.undelivered(refusal{})
	l.delivered(3)
	if p := l.progress(); p.acked != 1 || p.open != 0 || p.refusal != largest || p.unsettled != 2 {
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

// After a refusal the ledger begins anew where it was, and what was delivered
// beyond is counted when it is passed.
func TestLedgerKeepsWhatWasDelivered(t *testing.T) {
	var l ledger
	for end := range int64(5) {
		l.add(10*(end+1), uint64(end+1), time.Time{})
	}
	for _, end := range []int64{10, 30, 50} {
		l.delivered(end)
	}
	l.undelivered(refusal{code: protocol.NackTooLarge})
	l.undelivered(refusal{code: protocol.NackTooLarge})
	acked, sum, beyond := l.restart()
	if acked != 10 || sum != 1 || len(beyond) != 2 || beyond[0].start != 20 || beyond[0].end != 30 || beyond[1].start != 40 || beyond[1].end != 50 {
		t.Fatalf("%d, %d, %+v", acked, sum, beyond)
	}
	if p := l.progress(); p != (progress{acked: 10, sum: 1}) {
		t.Errorf("%+v", p)
	}
	l.add(20, 2, time.Time{})
	if _, _, moved := l.keep(beyond[0].span); moved {
		t.Error("the offset passed what is not delivered")
	}
	if acked, sum, _ := l.delivered(20); acked != 30 || sum != 3 {
		t.Errorf("%d, %d", acked, sum)
	}
	l.add(40, 4, time.Time{})
	l.delivered(40)
	if acked, sum, moved := l.keep(beyond[1].span); !moved || acked != 50 || sum != 5 {
		t.Errorf("%d, %d, %v", acked, sum, moved)
	}
}
