package pump

import (
	"testing"
	"time"

	"sluice/server/wire"
)

func TestWhatIsGathered(t *testing.T) {
	var g gathering
	a, b, link := &Conn{agent: &wire.Agent{}}, &Conn{agent: &wire.Agent{}}, &Conn{}
	now := time.Hour
	turns := func(n int, every time.Duration, read int, of ...*Conn) (gathered int) {
		for i := range n {
			now += every
			if g.turn(now, of[i%len(of)], read) {
				gathered++
			}
		}
		return gathered
	}
	if got := turns(1000, time.Millisecond, gatherBytes-1, a, b); got != 0 {
		t.Errorf("%d of 1000 small reads were gathered at 1 a millisecond", got)
	}
	if got := turns(1000, time.Millisecond, gatherBytes, a, b); got != 1000 {
		t.Errorf("%d of 1000 large reads were gathered", got)
	}
	if got := turns(1000, 10*time.Microsecond, 200, a, link); got != 0 {
		t.Errorf("%d of 1000 were gathered of a single sender and its ACKs", got)
	}
	// It is known at the end of a span that turns come often.
	if got := turns(1000, 25*time.Microsecond, 200, a, b); got < 800 {
		t.Errorf("%d of 1000 were gathered at 40 a millisecond", got)
	}
	// The first turn after a pause is written at once.
	now += time.Second
	if got := turns(1, time.Microsecond, 200, a); got != 0 {
		t.Error("the first turn after a pause was gathered")
	}
}
