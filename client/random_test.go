package client

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"sluice/protocol"
)

var seedFlag = flag.Uint64("seed", 0, "replay TestRandomFaults with this seed")

// TestRandomFaults runs a client against receivers that answer in random ways
// and cut connections at random moments. Each packet must end in exactly one
// outcome; "delivered" must be true; and the client must leave nothing behind.
func TestRandomFaults(t *testing.T) {
	rounds := 10
	if *seedFlag != 0 {
		rounds = 1
	}
	for round := range rounds {
		seed := *seedFlag
		if seed == 0 {
			seed = uint64(round + 1)
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			before := runtime.NumGoroutine()
			randomFaults(t, seed)
			if t.Failed() {
				t.Logf("replay: go test ./client -run 'TestRandomFaults' -seed %d", seed)
			}
			for end := time.Now().Add(patience); runtime.NumGoroutine() > before; runtime.Gosched() {
				if time.Now().After(end) {
					t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
				}
			}
		})
	}
}

func randomFaults(t *testing.T, seed uint64) {
	const packets = 20_000
	chaos := &chaos{rng: rand.New(rand.NewPCG(seed, 1)), acked: map[string]bool{}, refused: map[string]bool{}}
	defer chaos.wg.Wait()
	var addrs []string
	for range 2 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		addrs = append(addrs, ln.Addr().String())
		chaos.wg.Go(func() { chaos.serve(ln) })
	}
	c, out := start(t, Config{Addrs: addrs, Hello: seed%2 == 0}, nil)
	rng := rand.New(rand.NewPCG(seed, 2))
	for tag := uint64(0); tag < packets; {
		n, err := c.SendFunc(t.Context(), min(1+rng.IntN(300), int(packets-tag)), tag, func(dst []byte, tag uint64) []byte {
			p := packet(int(tag))
			p.Messages[0].Message = string(make([]byte, rng.IntN(400)))
			return protocol.AppendPacket(dst, p)
		})
		if err != nil {
			t.Fatal(err)
		}
		tag += uint64(n)
	}
	chaos.calm() // the rest is delivered in peace, so that the test ends
	mustClose(t, c)

	if out.count() != packets {
		t.Fatalf("%d outcomes for %d packets", out.count(), packets)
	}
	for tag, o := range out.by {
		if name := id(int(tag)); o.Delivered != chaos.acked[name] && !(chaos.acked[name] && chaos.refused[name]) {
			t.Fatalf("%s: outcome %+v, acknowledged %v", name, o, chaos.acked[name])
		}
	}
	s := c.Stats()
	t.Logf("%+v", s)
	if s.Delivered+s.Failed != packets || s.Unsettled != 0 || c.stage.bytes > chunkSize {
		t.Errorf("%+v, %d bytes staged", s, c.stage.bytes)
	}
	if s.Connects < 3 {
		t.Errorf("only %d connections: the faults did not fire", s.Connects)
	}
}

// chaos answers in random ways. A packet is in acked once an ACK that covers it
// was written, which may never have arrived.
type chaos struct {
	wg      sync.WaitGroup
	mu      sync.Mutex
	rng     *rand.Rand
	quiet   bool
	acked   map[string]bool
	refused map[string]bool
}

func (x *chaos) calm() {
	x.mu.Lock()
	x.quiet = true
	x.mu.Unlock()
}

func (x *chaos) serve(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		x.wg.Go(func() { x.talk(nc) })
	}
}

func (x *chaos) talk(nc net.Conn) {
	defer nc.Close()
	var (
		frames     = protocol.NewFrameReader(nc, protocol.DefaultMaxFrame)
		open       []string // ids of frames up … n that no ACK covers; "" if NACKed
		up, n, all uint64
		s          protocol.Scanned
	)
	for {
		body, err := frames.Next()
		if err != nil {
			return
		}
		if protocol.IsControl(body[0]) {
			var c protocol.Control
			if protocol.ParseControl(body, &c) == nil && c.Op == protocol.OpHello {
				nc.Write(protocol.AppendWelcome(nil, protocol.Welcome{Version: 1, Frames: 6000, Bytes: 6 << 20, MaxFrame: 1 << 20}))
			}
			continue
		}
		if protocol.Scan(body, &s) != nil {
			return
		}
		n++
		all += uint64(len(body) + protocol.HeaderSize)
		open = append(open, string(s.PacketID))
		answer, cut := x.answer(&open, &up, n, all, frames.Buffered() == 0)
		if cut {
			return
		}
		if len(answer) > 0 {
			nc.Write(answer)
		}
	}
}

func (x *chaos) answer(open *[]string, up *uint64, n, all uint64, idle bool) (out []byte, cut bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.quiet {
		switch k := x.rng.IntN(3000); {
		case k == 0:
			return nil, true
		case k == 1:
			out = protocol.AppendGoaway(out, protocol.GoawayDrain, "")
		case k < 30:
			at := x.rng.IntN(len(*open))
			if name := (*open)[at]; name != "" {
				code := []protocol.NackCode{protocol.NackBusy, protocol.NackUnavailable, protocol.NackInvalid, protocol.NackDraining}[x.rng.IntN(4)]
				out = protocol.AppendNack(out, *up+1+uint64(at), code, 0, "", 1)
				if code == protocol.NackInvalid {
					x.refused[name] = true
				}
				(*open)[at] = ""
			}
		}
	}
	if !idle && x.rng.IntN(500) > 0 {
		return out, false
	}
	settle := len(*open)
	if !idle { // with nothing more to read, an answer that is not given now never comes
		settle = x.rng.IntN(settle + 1)
	}
	for _, name := range (*open)[:settle] {
		if name != "" {
			x.acked[name] = true
		}
	}
	*open = append((*open)[:0], (*open)[settle:]...)
	*up += uint64(settle)
	return protocol.AppendAck(out, *up, *up+4096, all+4<<20), false
}

func TestStageAllocatesNothingInSteadyState(t *testing.T) {
	var (
		s    stage
		q    ring
		body = make([]byte, 200)
	)
	turn := func() {
		for tag := range uint64(5000) {
			e := q.extend()
			e.chunk, e.off, e.size = s.commit(append(s.begin(), body...))
			e.tag = tag
		}
		for q.n > 0 {
			e := q.pop()
			s.release(e.chunk, 1)
		}
	}
	turn()
	if n := testing.AllocsPerRun(20, turn); n > 0 {
		t.Errorf("%v allocations for 5,000 packets", n)
	}
}
