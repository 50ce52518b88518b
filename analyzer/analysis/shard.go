package analysis

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"time"

	"sluice/protocol"
)

// maxTally is how many names a tally keeps for the next batch. Within a batch it
// holds as many as occur in it; the receiver bounds a batch by its bytes.
const maxTally = 1024

// Shard counts one connection's batch. Owned by one goroutine.
type Shard struct {
	to       *Analysis
	packets  uint64
	messages uint64
	bytes    uint64
	levels   [len(levels)]uint64
	sources  tally
	agents   tally
	hashes   []uint64
}

// NewShard returns an empty shard of a.
func (a *Analysis) NewShard() *Shard { return &Shard{to: a} }

// Packet counts one packet whose body passed the scan. wireBytes is header +
// body as received.
func (s *Shard) Packet(packetID, agentID, body []byte, wireBytes int) {
	s.packets++
	s.bytes += uint64(wireBytes)
	s.agents.add(agentID)
	if s.to.recent != nil {
		s.hashes = append(s.hashes, s.to.hash(packetID, agentID))
	}
	view, m := protocol.NewView(body), protocol.Message{}
	for view.Next(&m) {
		s.messages++
		s.levels[levelIndex(m.Level)]++
		s.sources.add(m.Source)
	}
}

// Merge adds what the shard holds to its Analysis and empties it.
func (s *Shard) Merge(now time.Time) {
	if s.packets == 0 {
		return
	}
	s.to.merge(s, now)
	s.Drop()
}

// Drop empties the shard: what it holds was not acknowledged.
func (s *Shard) Drop() {
	s.packets, s.messages, s.bytes, s.levels = 0, 0, 0, [len(levels)]uint64{}
	s.sources.reset()
	s.agents.reset()
	s.hashes = s.hashes[:0]
}

// hash is of both ids: a packet_id is unique for its agent only.
func (a *Analysis) hash(packetID, agentID []byte) uint64 {
	return maphash.Bytes(a.seed, packetID) + bits.RotateLeft64(maphash.Bytes(a.seed, agentID), 17)
}

func levelIndex(level []byte) int {
	switch string(level) {
	case "DEBUG":
		return 0
	case "INFO":
		return 1
	case "WARNING":
		return 2
	case "ERROR":
		return levelError
	case "CRITICAL":
		return levelCritical
	}
	return levelOther
}

func validUTF8(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// tally counts names of one batch. The names lie in one buffer; the map is
// kept from batch to batch, with its names, so that the usual ones cost no
// allocation, and is thrown away when it has grown full.
type tally struct {
	index  map[string]int // into known
	known  []string
	slot   []int // of a known name in counts, plus one; 0: none in this batch
	counts []tallied
	last   int // index in known of the name before; the next is often the same
}

type tallied struct {
	known int
	n     uint64
}

func (t *tally) add(name []byte) {
	name = name[:min(len(name), maxName)]
	k := t.last
	if k >= len(t.known) || t.known[k] != string(name) {
		var ok bool
		if k, ok = t.index[string(name)]; !ok {
			k = t.learn(string(name))
		}
		t.last = k
	}
	if t.slot[k] == 0 {
		t.counts = append(t.counts, tallied{known: k})
		t.slot[k] = len(t.counts)
	}
	t.counts[t.slot[k]-1].n++
}

func (t *tally) learn(name string) int {
	if t.index == nil {
		t.index = make(map[string]int)
	}
	t.index[name] = len(t.known)
	t.known = append(t.known, name)
	t.slot = append(t.slot, 0)
	return len(t.known) - 1
}

func (t *tally) reset() {
	if len(t.known) >= maxTally {
		*t = tally{}
		return
	}
	for _, c := range t.counts {
		t.slot[c.known] = 0
	}
	t.counts = t.counts[:0]
}
