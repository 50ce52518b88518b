package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/protocol"
)

// TestNoFault is row C0: nothing lost, nothing twice, the split exact, and the
// analyzers count what the distributor counts.
func TestNoFault(t *testing.T) {
	s := newSystem(t, 40, 30, 20, 10)
	s.start()
	const count = 50_000
	delivered, failed := s.agents(10, count, nil)
	if len(delivered) != count || failed != 0 {
		t.Fatalf("delivered %d of %d, failed %d", len(delivered), count, failed)
	}
	st := s.distributor.Stats()
	if st.UnaccountedPackets != 0 || st.SpilledPackets != 0 || st.RedispatchedPackets != 0 || st.DeliveredPackets != count {
		t.Errorf("stats: %+v", st)
	}
	perPacket, perAnalyzer := s.received()
	for _, id := range delivered {
		if perPacket[id] != 1 {
			t.Fatalf("packet %s was delivered, and is in %d receipts", id, perPacket[id])
		}
	}
	for i, weight := range []float64{0.4, 0.3, 0.2, 0.1} {
		want := weight * count
		if off := float64(perAnalyzer[i]) - want; off > 10 || off < -10 {
			t.Errorf("analyzer %d received %d, its weight says %.0f", i+1, perAnalyzer[i], want)
		}
		if own := s.analyzers[i].Stats().ReceivedPackets; own != uint64(perAnalyzer[i]) || st.Analyzers[i].DeliveredPackets != own {
			t.Errorf("analyzer %d counts %d, its receipts %d, the distributor %d", i+1, own, perAnalyzer[i], st.Analyzers[i].DeliveredPackets)
		}
	}
}

// TestDistributorFirst is row F9: started before its analyzers it is live, not
// ready, then ready, and what waited is delivered.
func TestDistributorFirst(t *testing.T) {
	s := newSystem(t, 1, 1)
	s.startDistributor()
	get := func(path string) int {
		res, err := http.Get("http://" + s.distributor.HTTPAddr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	if a, b, c := get("/healthz"), get("/readyz"), get("/health"); a != 200 || b != 503 || c != 503 {
		t.Errorf("without analyzers: /healthz %d, /readyz %d, /health %d", a, b, c)
	}
	delivered, failed := s.agents(2, 100, func() {
		s.await("packets wait", func() bool { return s.distributor.Stats().QueuedPackets == 100 })
		s.startAnalyzer(0)
		s.startAnalyzer(1)
	})
	if len(delivered) != 100 || failed != 0 {
		t.Errorf("delivered %d of 100, failed %d", len(delivered), failed)
	}
	s.await("ready", func() bool { return get("/readyz") == 200 && get("/health") == 200 })
}

// TestAnalyzerDies: an analyzer is cut off under load and comes back. Nothing
// that was acknowledged is missing.
func TestAnalyzerDies(t *testing.T) {
	s := newSystem(t, 40, 30, 20, 10)
	s.start()
	const count = 60_000
	var inFlight uint64
	delivered, failed := s.agents(6, count, func() {
		s.await("load", func() bool { return s.distributor.Stats().DeliveredPackets > count/10 })
		s.analyzers[1].Kill()
		s.await("down", func() bool { return s.distributor.Stats().Analyzers[1].State == "down" })
		s.startAnalyzer(1)
	})
	if len(delivered) != count || failed != 0 {
		t.Errorf("delivered %d of %d, failed %d", len(delivered), count, failed)
	}
	st := s.distributor.Stats()
	inFlight = st.Analyzers[1].RedispatchedPackets
	if st.UnaccountedPackets != 0 {
		t.Errorf("unaccounted: %+v", st)
	}
	perPacket, _ := s.received()
	twice := 0
	for _, id := range delivered {
		switch n := perPacket[id]; {
		case n == 0:
			t.Fatalf("packet %s was acknowledged and is in no receipts", id)
		case n > 1:
			twice += n - 1
		}
	}
	if uint64(twice) > inFlight {
		t.Errorf("%d extra deliveries, %d were in flight at the analyzer that died", twice, inFlight)
	}
	t.Logf("%d in flight at the death, %d delivered twice", inFlight, twice)
	s.await("up again", func() bool { return s.distributor.Stats().Analyzers[1].State == "up" })
}

// TestPlainSender is row A1 through the whole: a sender without HELLO, its
// stream cut anywhere, hears exactly one ACK for all.
func TestPlainSender(t *testing.T) {
	s := newSystem(t, 1, 1)
	s.start()
	c, err := net.Dial("tcp", s.distributor.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	var stream []byte
	const count = 300
	for i := range count {
		p := protocol.LogPacket{PacketID: fmt.Sprintf("plain-%d", i), AgentID: "plain", Messages: []protocol.LogMessage{
			{Level: protocol.LevelInfo, Source: "s", Message: strings.Repeat("m", i*7)}}}
		stream = protocol.AppendFrame(stream, protocol.AppendPacket(nil, &p))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for len(stream) > 0 {
		n := min(1+random.IntN(1<<random.IntN(17)), len(stream))
		if _, err := c.Write(stream[:n]); err != nil {
			t.Fatal(err)
		}
		stream = stream[n:]
	}
	r := protocol.NewFrameReader(c, protocol.DefaultMaxFrame)
	var m protocol.Control
	for m.N < count {
		body, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := protocol.ParseControl(body, &m); err != nil || m.Op != protocol.OpAck {
			t.Fatalf("heard %+v, %v", m, err)
		}
	}
	if perPacket, _ := s.received(); len(perPacket) != count {
		t.Errorf("%d packets in the receipts, want %d", len(perPacket), count)
	}
}

// TestBadLengths is row A3 through the whole: the sender reads its last words.
func TestBadLengths(t *testing.T) {
	s := newSystem(t, 1)
	s.start()
	for _, header := range [][]byte{{0, 0, 0, 0}, {0, 0x10, 0, 1}, {0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff}} {
		c, err := net.Dial("tcp", s.distributor.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(append(header, bytes.Repeat([]byte{0x90}, 5000)...)); err != nil {
			t.Fatal(err)
		}
		words, err := io.ReadAll(c)
		if err != nil {
			t.Errorf("length %x: the last words end with %v", header, err)
		}
		c.Close()
		var ops []protocol.Opcode
		r := protocol.NewFrameReader(bytes.NewReader(words), protocol.DefaultMaxFrame)
		for {
			body, err := r.Next()
			if err != nil {
				break
			}
			var m protocol.Control
			if err := protocol.ParseControl(body, &m); err != nil {
				t.Fatal(err)
			}
			ops = append(ops, m.Op)
		}
		if want := []protocol.Opcode{protocol.OpNack, protocol.OpAck, protocol.OpGoaway}; fmt.Sprint(ops) != fmt.Sprint(want) {
			t.Errorf("length %x: heard opcodes %v, want NACK, ACK, GOAWAY", header, ops)
		}
	}
}

// TestBadLengthsCostNoMemory is row A3's other half: 1,000 connections that
// declare 4 GiB leave less than 1 MiB behind, both ends and sockets counted.
func TestBadLengthsCostNoMemory(t *testing.T) {
	s := newSystem(t, 1)
	s.start()
	attack := func(n int) {
		for range n {
			c, err := net.Dial("tcp", s.distributor.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte{0xff, 0xff, 0xff, 0xff}); err != nil {
				t.Fatal(err)
			}
			if words, err := io.ReadAll(c); err != nil || len(words) == 0 {
				t.Fatalf("heard %x, %v", words, err)
			}
			c.Close()
		}
		s.await("no connection is left", func() bool { return s.distributor.Stats().Sessions == 0 })
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what finalizers held goes with the second
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	attack(50) // whatever is made once
	before := heap()
	attack(1000)
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("1,000 bad lengths left %d bytes on the heap", grown)
	}
	if st := s.distributor.Stats(); st.RejectedPackets["too_large"] != 1050 || st.UnaccountedPackets != 0 {
		t.Errorf("stats: %+v", st)
	}
}
