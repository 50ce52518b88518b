package loop

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"sluice/internal/await"
	"sluice/protocol"
)

// wrapped is a connection whose bytes are not those of its descriptor, as far as
// the loop knows: it is served by goroutines, as TLS would be.
type wrapped struct{ net.Conn }

func (w wrapped) CloseWrite() error { return w.Conn.(*net.TCPConn).CloseWrite() }

func (w *world) addWrappedAgent() *agent {
	w.t.Helper()
	ours, theirs := pair(w.t)
	ended := new(atomic.Int64)
	w.ends = append(w.ends, ended)
	if err := w.loop.AddAgent(wrapped{theirs}, func() { ended.Add(1) }); err != nil {
		w.t.Fatal(err)
	}
	return &agent{Conn: ours, t: w.t, r: protocol.NewFrameReader(ours, protocol.DefaultMaxFrame)}
}

// Agents and analyzers behind any net.Conn are served as those in the event loop
// are: packets arrive in order, each is acknowledged, and an orderly end is heard.
func TestAnyConnIsServedByGoroutines(t *testing.T) {
	w := newWorld(t, 2, nil)
	to := w.addAnalyzer(0, true)
	ours, theirs := pair(t)
	other := &analyzer{Conn: ours, packets: make(chan string, 8192)}
	other.done.Go(func() { other.serve(t, true) })
	t.Cleanup(func() { other.Close(); other.done.Wait() })
	if err := w.loop.AddLink(1, wrapped{theirs}); err != nil {
		t.Fatal(err)
	}
	w.awaitEvent(event{"ready", 1})
	w.weigh(1, 1)
	plain, behind := w.addAgent(), w.addWrappedAgent()
	const each = 2000
	send := func(a *agent, name string) {
		for i := 0; i < each; i += 100 {
			var ids []string
			for k := range 100 {
				ids = append(ids, fmt.Sprintf("%s%d", name, i+k))
			}
			a.send(ids...)
		}
		a.awaitAck(each)
	}
	send(behind, "b")
	send(plain, "a")
	seen := map[string]bool{}
	for range 2 * each {
		select {
		case id := <-to.packets:
			seen[id] = true
		case id := <-other.packets:
			seen[id] = true
		}
	}
	if len(seen) != 2*each {
		t.Errorf("%d different packets, want %d", len(seen), 2*each)
	}
	if len(to.packets)+len(other.packets) != 0 {
		t.Error("packets arrived twice")
	}
	behind.Close()
	await.True(t, "the end to be heard", func() bool { return w.loop.Agents() == 1 })
}

// A peer that breaks the protocol hears why before the connection is closed, also
// when goroutines serve it.
func TestFinalFramesArriveThroughAnyConn(t *testing.T) {
	w := newWorld(t, 1, nil)
	a := w.addWrappedAgent()
	if _, err := a.Write([]byte{0xff, 0xff, 0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	if c := a.next(); c.Op != protocol.OpNack || protocol.NackCode(c.Code) != protocol.NackTooLarge {
		t.Errorf("heard %+v", c)
	}
	if c := a.next(); c.Op != protocol.OpAck {
		t.Errorf("heard %+v", c)
	}
	if c := a.next(); c.Op != protocol.OpGoaway {
		t.Errorf("heard %+v", c)
	}
	a.awaitEnd()
	a.Close()
	await.True(t, "no agent left", func() bool { return w.loop.Agents() == 0 })
}

// A sender that does not read its answers is bounded: what was not taken stays in
// the core, and the others are served.
func TestAnyConnThatDoesNotRead(t *testing.T) {
	w := newWorld(t, 1, nil)
	to := w.addAnalyzer(0, true)
	w.weigh(1)
	deaf := w.addWrappedAgent()
	bad := protocol.AppendFrame(nil, []byte{0xc3})
	worse := protocol.AppendFrame(nil, []byte{0x81, 0xc3, 0xc3}) // answers that do not merge
	var flood []byte
	for range 10_000 {
		flood = append(append(flood, bad...), worse...)
	}
	go func() {
		for {
			if _, err := deaf.Write(flood); err != nil {
				return // hung up on, as it should be, or the test is over
			}
		}
	}()
	other := w.addAgent()
	other.send("x")
	if got := await.Value(t, "packet", to.packets); got != "x" {
		t.Errorf("got %q", got)
	}
	other.awaitAck(1)
	await.True(t, "the deaf one to be hung up on", func() bool { return w.loop.Agents() == 1 })
	if used := w.shared.Budget.Used(); used > 4<<20 {
		t.Errorf("%d bytes are charged", used)
	}
}
