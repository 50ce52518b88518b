// Package analysis counts what an analyzer receives, in fixed memory however
// long it runs and whatever comes: packets, messages, bytes, levels, the most
// frequent sources and agents, rates, and duplicates.
//
// Each connection counts a batch in a [Shard] of its own and merges it into the
// one [Analysis] when the batch is acknowledged: a lock a batch, not a packet.
// The package reads no clock.
package analysis

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	topKept  = 100 // names kept for each table, see Top
	topShown = 10
)

// levels are what is told apart; any other text is counted as OTHER.
var levels = [...]string{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "OTHER"}

const (
	levelError    = 3
	levelCritical = 4
	levelOther    = 5
)

// Analysis is what was counted in all. Safe for concurrent use.
type Analysis struct {
	seed maphash.Seed

	mu         sync.Mutex
	packets    uint64
	messages   uint64
	bytes      uint64
	duplicates uint64
	invalid    uint64
	levels     [len(levels)]uint64
	sources    *Top
	agents     *Top
	recent     *Recent
	rate       rate
}

// New remembers at least window packets to tell duplicates; 0 means
// [DefaultWindow], and below 0 duplicates are not looked for at all.
func New(window int) *Analysis {
	a := &Analysis{seed: maphash.MakeSeed(), sources: NewTop(topKept), agents: NewTop(topKept)}
	if window == 0 {
		window = DefaultWindow
	}
	if window > 0 {
		a.recent = NewRecent(window)
	}
	return a
}

// Count counts packets of which nothing but their size is known. bytes is
// header + body.
func (a *Analysis) Count(packets, bytes uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.packets += packets
	a.bytes += bytes
}

// Invalid counts a frame that was no packet.
func (a *Analysis) Invalid() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.invalid++
}

// merge adds a shard's batch.
func (a *Analysis) merge(s *Shard, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.packets += s.packets
	a.messages += s.messages
	a.bytes += s.bytes
	for i, n := range s.levels {
		a.levels[i] += n
	}
	for _, c := range s.sources.counts {
		a.sources.Add(s.sources.known[c.known], c.n)
	}
	for _, c := range s.agents.counts {
		a.agents.Add(s.agents.known[c.known], c.n)
	}
	if a.recent != nil {
		for _, hash := range s.hashes {
			if a.recent.Seen(hash) {
				a.duplicates++
			}
		}
	}
	a.rate.add(now, s.messages, s.levels[levelError]+s.levels[levelCritical])
}

// Snapshot is what /stats of an analyzer shows. Packets are those that were
// acknowledged, duplicates included; bytes are header + body as received.
type Snapshot struct {
	ReceivedPackets   uint64            `json:"received_packets"`
	ReceivedMessages  uint64            `json:"received_messages"`
	ReceivedBytes     uint64            `json:"received_bytes"`
	DuplicatePackets  uint64            `json:"duplicate_packets"`
	InvalidPackets    uint64            `json:"invalid_packets"`
	ByLevel           map[string]uint64 `json:"by_level"`
	TopSources        []Count           `json:"top_sources"`
	TopAgents         []Count           `json:"top_agents"`
	MessagesPerSecond float64           `json:"messages_per_second"`
	ErrorsPerSecond   float64           `json:"errors_per_second"`
}

// Snapshot returns the counts as they are at now, all of one moment.
func (a *Analysis) Snapshot(now time.Time) Snapshot {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Snapshot{
		ReceivedPackets: a.packets, ReceivedMessages: a.messages, ReceivedBytes: a.bytes,
		DuplicatePackets: a.duplicates, InvalidPackets: a.invalid,
		ByLevel:    make(map[string]uint64, len(levels)),
		TopSources: a.sources.Largest(topShown), TopAgents: a.agents.Largest(topShown),
	}
	for i, name := range levels {
		if i != levelOther || a.levels[i] > 0 {
			s.ByLevel[name] = a.levels[i]
		}
	}
	for _, top := range [][]Count{s.TopSources, s.TopAgents} {
		for i := range top {
			top[i].Name = validUTF8(top[i].Name)
		}
	}
	s.MessagesPerSecond, s.ErrorsPerSecond = a.rate.perSecond(now)
	return s
}
