package loop

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/internal/await"
	"sluice/protocol"
	"sluice/server/dispatch"
	"sluice/server/intake"
	"sluice/server/pump"
)

// fate is what a test hears of one frame.
type fate struct {
	Delivered, Kept bool
	Analyzer        int
	Code            protocol.NackCode
}

// heard passes the fate of one frame on.
type heard func(fate)

// Settled is called by the loop.
func (h heard) Settled(r intake.Run) {
	if r.First != 0 || r.Count != 1 {
		panic("a batch of one frame has one fate")
	}
	h(fate{r.Delivered, r.Kept, r.Analyzer, r.Code})
}

// submit gives a body to the loop that the distributor answers for, lend one that
// the test keeps.
func (w *world) submit(body []byte, messages int, done func(fate)) protocol.NackCode {
	return give(w.owned, body, messages, done)
}

func (w *world) lend(body []byte, messages int, done func(fate)) protocol.NackCode {
	return give(w.lent, body, messages, done)
}

func give(to *intake.Source, body []byte, messages int, done func(fate)) protocol.NackCode {
	var hearer intake.Hearer
	if done != nil {
		hearer = heard(done)
	}
	return to.SubmitBody(body, messages, hearer).Code
}

// several has the loop read two frames in one turn.
func (w *world) several(to *analyzer) {
	w.t.Helper()
	held, release := make(chan struct{}, 1), make(chan struct{})
	busy := make(chan error, 1)
	go func() {
		busy <- w.loop.Do(w.t.Context(), func(*pump.Pump) { held <- struct{}{}; <-release })
	}()
	await.Value(w.t, "the loop to be held", held)
	for range 2 {
		if code := w.submit(content("one of several"), 1, nil); code != 0 {
			w.t.Fatalf("refused: %v", code)
		}
	}
	close(release)
	if err := await.Value(w.t, "the loop to go on", busy); err != nil {
		w.t.Fatal(err)
	}
	for range 2 {
		await.Value(w.t, "packet", to.packets)
	}
}

// hearing counts the calls of one done, and passes the first ones on.
type hearing struct {
	calls atomic.Int64
	heard chan fate
}

func newHearing() *hearing { return &hearing{heard: make(chan fate, 4)} }

func (h *hearing) done(d fate) {
	h.calls.Add(1)
	h.heard <- d
}

func TestSubmitIsDeliveredAndHeardOnce(t *testing.T) {
	w := newWorld(t, 2, nil)
	to := w.addAnalyzer(1, true)
	w.weigh(0, 1)
	h := newHearing()
	if code := w.submit(content("a"), 1, h.done); code != 0 {
		t.Fatalf("refused: %v", code)
	}
	if got := await.Value(t, "packet", to.packets); got != "a" {
		t.Fatalf("analyzer got %s", got)
	}
	if d := await.Value(t, "outcome", h.heard); d != (fate{Delivered: true, Analyzer: 1}) {
		t.Errorf("outcome %+v", d)
	}
	if code := w.submit(content("b"), 1, nil); code != 0 { // nobody cares to hear
		t.Fatalf("refused: %v", code)
	}
	await.Value(t, "packet", to.packets)
	if err := w.loop.Stop(); err != nil {
		t.Error(err)
	}
	if n := h.calls.Load(); n != 1 {
		t.Errorf("done was called %d times", n)
	}
}

func TestSubmitIsBusyWhenTheQueueIsFull(t *testing.T) {
	t.Run("elastic", func(t *testing.T) { submitToAFullQueue(t, false) })
	t.Run("strict", func(t *testing.T) { submitToAFullQueue(t, true) })
}

func submitToAFullQueue(t *testing.T, strict bool) {
	w := newWorld(t, 1, func(c *dispatch.Config) { c.MaxQueueFrames, c.Strict = 2, strict })
	var admitted [2]*hearing
	frame := make([]byte, 0, 256)
	for i := range admitted {
		admitted[i] = newHearing()
		frame = append(frame[:0], content(fmt.Sprint("p", i))...)
		if code := w.submit(frame, 1, admitted[i].done); code != 0 {
			t.Fatalf("packet %d of 2: refused: %v", i, code)
		}
		clear(frame) // borrowed until Submit returned, and no longer
	}
	refused := newHearing()
	if code := w.submit(content("too many"), 1, refused.done); code != protocol.NackBusy {
		t.Fatalf("code %v, want busy", code)
	}
	// An analyzer comes at last: what was admitted is delivered to it.
	w.weigh(1)
	to := w.addAnalyzer(0, true)
	for i, h := range admitted {
		if got, want := await.Value(t, "packet", to.packets), fmt.Sprint("p", i); got != want {
			t.Errorf("analyzer got %s, want %s", got, want)
		}
		if d := await.Value(t, "outcome", h.heard); !d.Delivered {
			t.Errorf("outcome %+v", d)
		}
	}
	if err := w.loop.Stop(); err != nil {
		t.Error(err)
	}
	for i, h := range append(admitted[:], refused) {
		if got, want := h.calls.Load(), int64(1-i/2); got != want {
			t.Errorf("done %d was called %d times, want %d", i, got, want)
		}
	}
}

func TestConcurrentSubmissionsAreEachHeardOnce(t *testing.T) {
	const senders, each = 8, 100
	w := newWorld(t, 1, nil)
	to := w.addAnalyzer(0, true)
	w.weigh(1)
	var calls [senders * each]atomic.Int64
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range each {
				heard := make(chan struct{}, 4)
				code := w.submit(content(fmt.Sprint(s, "-", i)), 1, func(d fate) {
					calls[s*each+i].Add(1)
					heard <- struct{}{}
				})
				if code != 0 {
					t.Errorf("refused: %v", code)
					return
				}
				<-heard
			}
		})
	}
	seen := map[string]bool{}
	for range senders * each {
		seen[await.Value(t, "packet", to.packets)] = true
	}
	all.Wait()
	if len(seen) != senders*each {
		t.Errorf("%d different packets, want %d", len(seen), senders*each)
	}
	if err := w.loop.Stop(); err != nil {
		t.Error(err)
	}
	for i := range calls {
		if n := calls[i].Load(); n != 1 {
			t.Errorf("done %d was called %d times", i, n)
		}
	}
}

func TestSubmitToAStoppedLoop(t *testing.T) {
	w := newWorld(t, 1, nil)
	if err := w.loop.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if code := w.submit(content("a"), 1, func(fate) { t.Error("heard of a refused packet") }); code != protocol.NackDraining {
			t.Errorf("code %v, want draining", code)
		}
	}
}

// Whoever submits while the loop stops gets an answer: admitted or refused.
func TestSubmitWhileStopping(t *testing.T) {
	w := newWorld(t, 1, func(c *dispatch.Config) { c.MaxQueueFrames = 1 << 20 })
	var all sync.WaitGroup
	begun := make(chan struct{}, 4)
	for range 4 {
		all.Go(func() {
			for i := 0; ; i++ {
				if code := w.submit(content("a"), 1, nil); code == protocol.NackDraining {
					return
				}
				if i == 10 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range 4 {
		await.Value(t, "begin", begun)
	}
	if err := w.loop.Stop(); err != nil {
		t.Error(err)
	}
	all.Wait()
}

// without them; a drain does not wait.
func TestFramesThatLingerAreDispatched(t *testing.T) {
	w := newWorld(t, 1, nil)
	to := w.addAnalyzer(0, true)
	w.weigh(1)
	held, release := make(chan struct{}, 1), make(chan struct{})
	busy := make(chan error, 1)
	go func() {
		busy <- w.loop.Do(t.Context(), func(*pump.Pump) { held <- struct{}{}; <-release })
	}()
	await.Value(t, "the loop to be held", held)
	for _, id := range []string{"a", "b"} {
		if code := w.submit(content(id), 1, nil); code != 0 {
			t.Fatalf("refused: %v", code)
		}
	}
	close(release)
	if err := await.Value(t, "the loop to go on", busy); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		await.Value(t, "packet", to.packets)
	}
	if code := w.submit(content("alone"), 1, nil); code != 0 {
		t.Fatalf("refused: %v", code)
	}
	if got := await.Value(t, "packet", to.packets); got != "alone" {
		t.Errorf("got %q", got)
	}
	w.several(to) // so that the next one lingers
	if code := w.submit(content("last"), 1, nil); code != 0 {
		t.Fatalf("refused: %v", code)
	}
	if err := w.loop.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := await.Value(t, "packet", to.packets); got != "last" {
		t.Errorf("got %q", got)
	}
	if code := w.submit(content("late"), 1, nil); code != protocol.NackDraining {
		t.Errorf("code %v after the drain", code)
	}
}

// What was promised and has not come to the loop when that stops is kept; what
// was lent is answered.
func TestPromisesOutliveTheLoop(t *testing.T) {
	w := newWorld(t, 1, nil)
	held, release := make(chan struct{}, 1), make(chan struct{})
	busy := make(chan error, 1)
	go func() {
		busy <- w.loop.Do(t.Context(), func(*pump.Pump) { held <- struct{}{}; <-release })
	}()
	await.Value(t, "the loop to be held", held)
	owned, lent := newHearing(), newHearing()
	if code := w.submit(content("promised"), 1, owned.done); code != 0 {
		t.Fatalf("refused: %v", code)
	}
	if code := w.lend(content("lent"), 1, lent.done); code != 0 {
		t.Fatalf("refused: %v", code)
	}
	if queued, bytes := w.shared.Queued(), w.shared.Budget.Used(); queued != 2 || bytes == 0 {
		t.Errorf("%d places and %d bytes are reserved, want 2 and some", queued, bytes)
	}
	w.loop.Intake().Abandon() // as Stop does, when the loop does not come to its mail any more
	if d := await.Value(t, "outcome", owned.heard); d != (fate{Kept: true, Code: protocol.NackDraining}) {
		t.Errorf("promised: %+v", d)
	}
	if d := await.Value(t, "outcome", lent.heard); d != (fate{Code: protocol.NackDraining}) {
		t.Errorf("lent: %+v", d)
	}
	if _, kept := w.keeper.state(); len(kept) != 1 || kept[0] != "promised final=false" {
		t.Errorf("kept %q", kept)
	}
	if queued, bytes := w.shared.Queued(), w.shared.Budget.Used(); queued != 0 || bytes != 0 {
		t.Errorf("%d places and %d bytes are still reserved", queued, bytes)
	}
	close(release)
	if err := await.Value(t, "the loop to go on", busy); err != nil {
		t.Error(err)
	}
}

func TestOwnedFramesAreReleasedOrKept(t *testing.T) {
	w := newWorld(t, 1, func(c *dispatch.Config) { c.MaxRetries = 0 })
	heard := newHearing()
	if code := w.submit(content("left over"), 1, heard.done); code != 0 {
		t.Fatalf("refused: %v", code)
	}
	lent := newHearing()
	if code := w.lend(content("lent"), 1, lent.done); code != 0 {
		t.Fatalf("refused: %v", code)
	}
	if err := w.loop.Do(t.Context(), func(p *pump.Pump) { p.Core().DeadLetterAll() }); err != nil {
		t.Fatal(err)
	}
	if d := await.Value(t, "outcome", heard.heard); d != (fate{Kept: true, Code: protocol.NackDraining}) {
		t.Errorf("buried: %+v", d)
	}
	to := w.addAnalyzer(0, true)
	w.weigh(1)
	second := newHearing()
	frame := packet("delivered")
	if code := w.submit(content("delivered"), 1, second.done); code != 0 {
		t.Fatalf("refused: %v", code)
	}
	for range 2 {
		await.Value(t, "packet", to.packets)
	}
	for name, h := range map[string]*hearing{"delivered": second, "lent": lent} {
		if d := await.Value(t, "outcome", h.heard); !d.Delivered {
			t.Errorf("%s: %+v", name, d)
		}
	}
	released, kept := w.keeper.state()
	if released != len(frame) || len(kept) != 1 || kept[0] != "left over final=false" {
		t.Errorf("released %d bytes, want %d; kept %q", released, len(frame), kept)
	}
}
