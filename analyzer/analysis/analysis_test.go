package analysis

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"sluice/protocol"
)

func body(id, agent string, messages ...protocol.LogMessage) []byte {
	return protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: id, AgentID: agent, Messages: messages})
}

func count(s *Shard, id, agent string, messages ...protocol.LogMessage) {
	b := body(id, agent, messages...)
	s.Packet([]byte(id), []byte(agent), b, len(b)+4)
}

func TestSnapshot(t *testing.T) {
	now := time.Unix(1000, 0)
	a := New(0)
	s := a.NewShard()
	count(s, "1", "x", protocol.LogMessage{Level: "INFO", Source: "web"}, protocol.LogMessage{Level: "ERROR", Source: "db"})
	count(s, "2", "x", protocol.LogMessage{Level: "CRITICAL", Source: "web"}, protocol.LogMessage{Level: "loud", Source: "bad\xff"})
	count(s, "1", "y") // another agent's id
	if got := a.Snapshot(now); got.ReceivedPackets != 0 {
		t.Fatalf("counted before the merge: %+v", got)
	}
	s.Merge(now)
	count(s, "1", "x", protocol.LogMessage{Level: "DEBUG", Source: "web"})
	s.Merge(now)
	count(s, "9", "z")
	s.Drop()
	s.Merge(now)
	a.Invalid()
	got := a.Snapshot(now)
	if got.ReceivedPackets != 4 || got.ReceivedMessages != 5 || got.DuplicatePackets != 1 || got.InvalidPackets != 1 || got.ReceivedBytes == 0 {
		t.Errorf("%+v", got)
	}
	for level, n := range map[string]uint64{"INFO": 1, "ERROR": 1, "CRITICAL": 1, "DEBUG": 1, "WARNING": 0, "OTHER": 1} {
		if got.ByLevel[level] != n {
			t.Errorf("%s: %d, want %d", level, got.ByLevel[level], n)
		}
	}
	if fmt.Sprint(got.TopSources) != "[{web 3 0} {bad\ufffd 1 0} {db 1 0}]" || fmt.Sprint(got.TopAgents) != "[{x 3 0} {y 1 0}]" {
		t.Errorf("%v %v", got.TopSources, got.TopAgents)
	}
	if got.MessagesPerSecond != 5 || got.ErrorsPerSecond != 2 {
		t.Errorf("%v/s, %v/s", got.MessagesPerSecond, got.ErrorsPerSecond)
	}
}

// Against exact counts: never too low, too high by at most Error, and Error at
// most n/k; whoever has more than n/k is kept.
func TestTopKeepsItsBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	zipf := rand.NewZipf(rng, 1.2, 1, 100000)
	top, exact, total := NewTop(100), map[string]uint64{}, uint64(0)
	for range 200000 {
		name, n := fmt.Sprint(zipf.Uint64()), 1+rng.Uint64N(3)
		top.Add(name, n)
		exact[name] += n
		total += n
	}
	kept := map[string]bool{}
	for _, c := range top.Largest(1000) {
		kept[c.Name] = true
		if c.Count < exact[c.Name] || c.Count-c.Error > exact[c.Name] || c.Error > total/100 {
			t.Errorf("%+v, exactly %d of %d", c, exact[c.Name], total)
		}
	}
	if len(kept) != 100 {
		t.Errorf("%d kept", len(kept))
	}
	for name, n := range exact {
		if n > total/100 && !kept[name] {
			t.Errorf("%s, %d of %d, was lost", name, n, total)
		}
	}
}

func TestRecentMissesNothingWithinItsWindow(t *testing.T) {
	const window = 1 << 10
	r := NewRecent(window)
	rng := rand.New(rand.NewPCG(5, 6))
	hashes := make([]uint64, 50*window)
	for i := range hashes {
		hashes[i] = rng.Uint64()
		if r.Seen(hashes[i]) {
			t.Fatalf("new hash %d taken for seen", i)
		}
		if back := rng.IntN(window); back <= i && !remembers(r, hashes[i-back]) {
			t.Fatalf("at %d: the one %d before is forgotten", i, back)
		}
	}
	if last := hashes[len(hashes)-1]; !r.Seen(last) || !r.Seen(hashes[len(hashes)-window]) {
		t.Error("not seen, though remembered")
	}
	if r.Seen(hashes[0]) {
		t.Error("the first is still remembered: nothing rotates")
	}
}

// remembers looks without leaving a trace, as Seen would.
func remembers(r *Recent, hash uint64) bool {
	_, young := find(r.young, int(hash>>(64-r.bits)), uint32(hash))
	_, old := find(r.old, int(hash>>(64-r.bits)), uint32(hash))
	return young || old
}

// The documented rate, 7e-10 a packet, is too small to be seen in a test; so
// the occupied slots that are compared are counted, at the worst load.
func TestRecentFalsePositiveRate(t *testing.T) {
	r := NewRecent(1 << 14)
	rng := rand.New(rand.NewPCG(7, 8))
	for range 2 * r.Window() {
		r.Seen(rng.Uint64())
	}
	compared, probes := 0, 200000
	for range probes {
		slot := int(rng.Uint64() >> (64 - r.bits))
		for _, table := range [][]uint32{r.young, r.old} {
			for at := slot; table[at&(len(table)-1)] != 0; at++ {
				compared++
			}
		}
	}
	rate := float64(compared) / float64(probes) / (1 << 32)
	if rate > 7.5e-10 {
		t.Errorf("%.3g a packet", rate)
	}
	// And none is seen among a few million packets.
	for i := range 2 << 20 {
		if r.Seen(rng.Uint64()) {
			t.Fatalf("false positive at %d", i)
		}
	}
}

func TestRates(t *testing.T) {
	at := func(ms int64) time.Time { return time.UnixMilli(1_000_000_000 + ms) }
	var r rate
	if m, e := r.perSecond(at(0)); m != 0 || e != 0 {
		t.Errorf("before anything: %v, %v", m, e)
	}
	r.add(at(0), 100, 10)
	r.add(at(1000), 100, 0)
	for _, c := range []struct {
		ms               int64
		messages, errors float64
	}{
		{1000, 200, 10}, // the first second counts as a whole one
		{2000, 100, 5},
		{4000, 50, 2.5},
		{10000, 20, 1}, // both in the last ten whole seconds
		{11000, 10, 0},
		{12000, 0, 0},
		{1000000, 0, 0},
	} {
		if m, e := r.perSecond(at(c.ms)); m != c.messages || e != c.errors {
			t.Errorf("at %d ms: %v, %v; want %v, %v", c.ms, m, e, c.messages, c.errors)
		}
	}
	for i := range int64(100) {
		r.add(at(20000+i*1000), 50, 5)
	}
	if m, e := r.perSecond(at(120000)); m != 50 || e != 5 {
		t.Errorf("steady: %v, %v", m, e)
	}
}

func TestShardsOfManyConnections(t *testing.T) {
	a := New(1 << 16)
	var all sync.WaitGroup
	for c := range 8 {
		all.Go(func() {
			s := a.NewShard()
			for i := range 3000 {
				count(s, fmt.Sprint(i), fmt.Sprint("agent-", c), protocol.LogMessage{Level: "INFO", Source: fmt.Sprint(i)})
				if i%100 == 99 {
					s.Merge(time.Unix(100, 0))
				}
			}
		})
	}
	all.Wait()
	got := a.Snapshot(time.Unix(100, 0))
	if got.ReceivedPackets != 24000 || got.ReceivedMessages != 24000 || got.DuplicatePackets != 0 || len(got.TopAgents) != 8 || got.TopAgents[0].Count != 3000 || len(got.TopSources) != 10 {
		t.Errorf("%+v", got)
	}
}

func TestCountingDoesNotAllocateInSteadyState(t *testing.T) {
	a := New(1 << 10)
	s := a.NewShard()
	id, agent := []byte("id"), []byte("agent")
	b := body("id", "agent", make([]protocol.LogMessage, 5)...)
	if n := testing.AllocsPerRun(1000, func() {
		for range 20 {
			s.Packet(id, agent, b, len(b))
		}
		s.Merge(time.Unix(5, 0))
	}); n > 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

func BenchmarkPacket(b *testing.B) {
	a := New(0)
	s := a.NewShard()
	id, agent := []byte("id-0000000"), []byte("agent")
	pkt := body("id-0000000", "agent", protocol.LogMessage{Level: "INFO", Source: "web", Message: string(make([]byte, 100))})
	b.ReportAllocs()
	for i := range b.N {
		id[3], id[4], id[5], id[6] = byte(i), byte(i>>8), byte(i>>16), byte(i>>24)
		s.Packet(id, agent, pkt, len(pkt))
		if i%1000 == 999 {
			s.Merge(time.Unix(5, 0))
		}
	}
}
