package capacity

import (
	"math/bits"

	"sluice/server/config"
)

// Term is one part of a worst case: so many of something, each at so much.
// Immutable.
type Term struct {
	Key   string // for logs
	What  string // for people
	Count int64
	Each  int64 // bytes, or descriptors
}

func (t Term) total() int64 { return t.Count * t.Each }

func sum(terms []Term) (total int64) {
	for _, t := range terms {
		total += t.total()
	}
	return total
}

// memoryAtWorst is what the process uses when every limit is reached at the
// same time. loops is the number of event loops.
func memoryAtWorst(cfg *config.Config, loops int) []Term {
	n, links := int64(loops), int64(loops*len(cfg.Analyzers))
	terms := []Term{
		{"program", "the program itself", 1, baseBytes},
		{"byte_budget", "packets not yet acknowledged (--byte-budget)", 1, cfg.ByteBudget},
		{"connections", "connections of agents (--max-connections)", int64(cfg.MaxConnections), connectionBytes},
		{"http_connections", "HTTP connections", int64(httpConnections(cfg)), httpConnectionBytes},
		{"http_bodies", "bodies of /ingest in the making", 1, cfg.HTTPBodyBytes},
		{"link_entries", "links: entries of packets (--analyzers × --workers)", links, ringBytes(cfg.LinkWindowFrames)},
		{"link_writes", "links: a write that the socket did not take", links, writeBytes},
		{"link_moves", "links: a chunk that packets on the move overdraw", links, chunkBytes},
		{"waiting_entries", "loops: entries of waiting packets (--max-queue)", n, waitingBytes(cfg)},
		{"free_chunks", "loops: free chunks", n, spareBytes},
		{"read_buffers", "loops: read buffer", n, readBytes},
		{"dead_letters", "dead letters on their way", 1, letterBytes},
	}
	return append(terms, Term{"collector", "the garbage collector's headroom", 1, sum(terms) / headroomParts})
}

// httpConnections are those served in full and those on top of them.
func httpConnections(cfg *config.Config) int {
	return cfg.HTTPConnections + cfg.HTTPConnections/httpLateParts
}

// ringBytes is what a ring costs that has held so many entries: it doubles as
// it grows, and never shrinks.
func ringBytes(entries int) int64 {
	return entryBytes << bits.Len(uint(max(entries, 1)-1))
}

// waitingBytes is what the rings of one loop's waiting packets cost: those that
// wait for any link, and those that wait for their next try. All links of the
// loop may be lost at once, and then their packets wait, too, whatever
// --max-queue says. With affinity or strict spilling they may go on to wait for
// one analyzer.
func waitingBytes(cfg *config.Config) int64 {
	rings := int64(2)
	if cfg.Spill == config.SpillStrict || cfg.Route != config.RouteWeighted {
		rings++
	}
	return rings * ringBytes(cfg.MaxQueue+cfg.LinkWindowFrames*len(cfg.Analyzers))
}

// largestRequest is what the largest /ingest needs: its body as it came, as it
// was inflated and as the parser has it, a value for each 8 bytes of the
// packet or 2 of the body, and the packet.
func largestRequest(cfg *config.Config) int64 {
	values := max(httpMinValues, min(cfg.MaxFrame/8, cfg.MaxBody/2))
	return 3*int64(cfg.MaxBody) + httpValueBytes*int64(values) + int64(cfg.MaxFrame)
}

// leastBudget is what the budget is not lowered below: every link and every
// queue has the chunk that it writes to and one more, and some agents a large
// packet that is not yet whole.
func leastBudget(cfg *config.Config, loops int) int64 {
	return max(config.MinByteBudget, 2*chunkBytes*int64(loops*(len(cfg.Analyzers)+1))+4*int64(cfg.MaxFrame))
}

// descriptorsAtWorst is what the process has open when every limit is reached.
func descriptorsAtWorst(cfg *config.Config, loops int) []Term {
	return []Term{
		{"program", "the program itself", 1, baseDescriptors},
		{"connections", "connections of agents (--max-connections)", int64(cfg.MaxConnections), 1},
		{"http_connections", "HTTP connections, and those being refused", int64(httpConnections(cfg) + cfg.HTTPConnections/httpLateParts), 1},
		{"links", "links (--analyzers × --workers)", int64(loops * len(cfg.Analyzers)), 1},
		{"loops", "loops", int64(loops), loopDescriptors},
	}
}
