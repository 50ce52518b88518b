package ship

import (
	"testing"
	"time"
)

func TestPacketsAreAsLargeAsTheWayAllows(t *testing.T) {
	const most = 64 << 10
	p, now, timedOut := newPace(most), time.Unix(1e9, 0), uint64(0)
	size := func() int {
		now = now.Add(lookEvery)
		return p.now(now, func() uint64 { return timedOut })
	}
	if n := size(); n != firstBatch {
		t.Errorf("begins with %d bytes, want %d", n, firstBatch)
	}
	p.delivered(firstBatch, quick+1)
	p.delivered(100, time.Millisecond) // a line now and then proves nothing
	if n := size(); n != firstBatch {
		t.Errorf("%d bytes although nothing shows that more get through", n)
	}
	for want := 2 * firstBatch; want <= most; want *= 2 {
		p.delivered(size(), time.Millisecond)
		if n := size(); n != want {
			t.Errorf("%d bytes, want %d", n, want)
		}
	}
	p.delivered(most, time.Millisecond)
	if n := size(); n != most {
		t.Errorf("%d bytes are more than is allowed", n)
	}
	for want := most / 2; want >= smallestBatch; want /= 2 {
		timedOut++
		if n := size(); n != want {
			t.Errorf("%d bytes after %d timeouts, want %d", n, timedOut, want)
		}
		if n := size(); n != want {
			t.Errorf("halved twice for one timeout, to %d", n)
		}
	}
	timedOut++
	if n := size(); n != smallestBatch {
		t.Errorf("%d bytes, want no fewer than %d", n, smallestBatch)
	}
	p.delivered(smallestBatch, time.Millisecond)
	if n := size(); n != 2*smallestBatch {
		t.Errorf("%d bytes: does not grow again", n)
	}
	if n := newPace(512).now(now, func() uint64 { return 1 }); n != 512 {
		t.Errorf("%d bytes of 512 that are allowed", n)
	}
}
