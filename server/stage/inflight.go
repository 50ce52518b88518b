package stage

import (
	"time"

	"sluice/protocol"
)

// InFlight is what one link holds: frames in the order in which its analyzer
// gets them, of which those at the front were written and have no ACK yet. It is
// output buffer and retransmission buffer at once: bytes are copied into it once
// and stay until they are acknowledged.
//
// The i-th entry from the front is data frame Acked()+1+i of the connection, so
// an ACK is a subtraction. An entry that is answered by itself (a NACK) or moves
// away while it is written keeps its number until an ACK passes it; it counts in
// Len and Written, not in Live and Bytes.
//
// Owned by one loop.
type InFlight struct {
	ring
	appender
	maxFrames, maxBytes int

	bytes   int    // of live entries
	live    int    // entries that have no answer
	written int    // entries at the front that were written
	acked   uint64 // data frames of this connection that were acknowledged
	credit  protocol.SendWindow
	marks   marks
}

// NewInFlight makes an empty window for maxFrames and maxBytes over a pool.
func NewInFlight(pool *Pool, maxFrames, maxBytes int) InFlight {
	return InFlight{appender: appender{pool: pool}, maxFrames: maxFrames, maxBytes: maxBytes}
}

// Len returns how many entries there are, Live how many of them have no answer,
// Written how many are written and not acknowledged.
func (f *InFlight) Len() int     { return f.n }
func (f *InFlight) Live() int    { return f.live }
func (f *InFlight) Written() int { return f.written }

// Unwritten returns how many entries are still to be written.
func (f *InFlight) Unwritten() int { return f.n - f.written }

// Bytes returns the bytes of live entries.
func (f *InFlight) Bytes() int { return f.bytes }

// Acked returns how many data frames of this connection are acknowledged.
func (f *InFlight) Acked() uint64 { return f.acked }

// Fits says whether a frame of size bytes has room.
func (f *InFlight) Fits(size int) bool { return f.n < f.maxFrames && f.bytes+size <= f.maxBytes }

// Open begins a connection: its first data frame will be number 1, and the
// credit is the first one.
func (f *InFlight) Open() {
	f.written, f.acked, f.marks.n = 0, 0, 0
	f.credit = protocol.NewSendWindow()
}

// Raise takes the credit of an analyzer's WELCOME or ACK.
func (f *InFlight) Raise(frames, bytes uint64) { f.credit.Raise(frames, bytes) }

// Close gives back the chunk that was appended to.
func (f *InFlight) Close() { f.close() }

// TryAppend copies a frame to the end, as e says. Of e it sets where the bytes
// lie. False means that the byte budget is used up and nothing changed. Whether
// the frame Fits is the caller's decision.
func (f *InFlight) TryAppend(frame []byte, e Entry) bool {
	chunk, offset, ok := f.tryCopy(frame, false)
	if !ok {
		return false
	}
	to := f.extend()
	to.Number, to.Source = e.Number, e.Source
	to.chunk, to.offset, to.size = chunk, offset, uint32(len(frame))
	to.At, to.Attempts, to.flags = e.At, e.Attempts, e.flags
	f.bytes += len(frame)
	f.live++
	return true
}

// Adopt appends an entry of the same pool whose bytes stay where they lie, which
// the window must let go of from then on. It takes no memory, and is written by
// itself.
func (f *InFlight) Adopt(e Entry) {
	f.pushBack(e)
	f.bytes += e.Size()
	f.live++
}

// TryAppendSpan copies frames that lie side by side at the front of data: as
// many of those of sizes as fit into one chunk and into the window. They are
// first hand-overs of a source, numbered from number on, at the time nowMS. It
// returns how many it took and their bytes: 0 if there is no room for the first,
// or the byte budget is used up.
func (f *InFlight) TryAppendSpan(data []byte, sizes []uint32, source uint32, number uint64, nowMS uint32) (frames, bytes int) {
	most, left := f.maxFrames-f.n, f.maxBytes-f.bytes
	if most <= 0 || left < int(sizes[0]) {
		return 0, 0
	}
	ch := f.tryExtend(int(sizes[0]), false)
	if ch == nil {
		return 0, 0
	}
	sizes = sizes[:min(len(sizes), most)]
	if len(f.buf)-f.n < len(sizes) {
		f.grow(len(sizes))
	}
	begin := len(ch.buf)
	left = min(left, cap(ch.buf)-begin)
	ring, last := f.buf, len(f.buf)-1
	at := f.head + f.n
	for _, size := range sizes {
		if bytes+int(size) > left {
			break
		}
		// Field by field: an entry copied as a whole would wait for the stores of
		// those fields that have just changed.
		e := &ring[(at+frames)&last]
		e.Number, e.Source = number+uint64(frames), source
		e.chunk, e.offset, e.size = f.tail, uint32(begin+bytes), size
		e.At, e.Attempts, e.flags = nowMS, 0, picked
		bytes += int(size)
		frames++
	}
	ch.buf = ch.buf[:begin+bytes]
	copy(ch.buf[begin:], data[:bytes])
	ch.refs += int32(frames)
	f.n += frames
	f.bytes += bytes
	f.live += frames
	f.closeLarge()
	return frames, bytes
}

// NextWrite hands over whole frames: at most most bytes, in one piece of memory,
// within the analyzer's credit, and so that at most limit are written and
// unacknowledged. Nil when there is nothing to write now. The bytes must then be
// written, all of them; they are borrowed until the next call on the window.
func (f *InFlight) NextWrite(limit, most int, now time.Duration) []byte {
	end := min(limit, f.n)
	if f.written >= end {
		return nil
	}
	frames, bytes := f.credit.Batch(int(f.at(f.written).size), most)
	if frames == 0 {
		return nil
	}
	chunk, begin, size, frames := f.piece(f.written, min(end, f.written+frames), bytes)
	f.credit.SentRun(frames, size)
	f.written += frames
	f.marks.push(mark{upTo: f.acked + uint64(f.written), at: now})
	return f.pool.all[chunk].buf[begin : begin+size]
}

// CanWrite says whether NextWrite would hand over anything.
func (f *InFlight) CanWrite(limit, most int) bool {
	if f.written >= min(limit, f.n) {
		return false
	}
	frames, _ := f.credit.Batch(int(f.at(f.written).size), most)
	return frames > 0
}

// piece counts the entries from i on, before end, whose bytes lie side by side,
// at most so many bytes, and returns these bytes. Nothing if the first is larger.
func (f *InFlight) piece(i, end, most int) (chunk uint32, begin, size, frames int) {
	ring, last := f.buf, len(f.buf)-1
	first := &ring[(f.head+i)&last]
	chunk, begin = first.chunk, int(first.offset)
	for ; i < end; i++ {
		e := &ring[(f.head+i)&last]
		if e.chunk != chunk || int(e.offset) != begin+size || size+int(e.size) > most {
			break
		}
		size += int(e.size)
		frames++
	}
	return chunk, begin, size, frames
}

// Run is consecutive frames of one source that were settled together.
type Run struct {
	Source        uint32 // slot
	Number, Count uint64 // the frames Number … Number+Count-1
	Bytes         int    // in all, headers included
}

// Acker hears what an ACK brought about, while Ack runs.
type Acker interface {
	// Acked: these frames had no answer before.
	Acked(Run)
	// RoundTrip: count frames were written together and acknowledged after d;
	// whole says that these are the last ones of their write.
	RoundTrip(d time.Duration, count uint64, whole bool)
}

// Ack settles the frames up to number n of the connection and forgets them. It
// returns how many numbers that were. False means that n was never written, and
// nothing changed.
func (f *InFlight) Ack(n uint64, now time.Duration, to Acker) (count int, ok bool) {
	if n < f.acked || n-f.acked > uint64(f.written) {
		return 0, false
	}
	k := int(n - f.acked)
	if k == 0 {
		return 0, true
	}
	f.settle(k, to)
	for from := f.acked; f.marks.n > 0 && from < n; {
		m := f.marks.front()
		upTo, whole := min(m.upTo, n), m.upTo <= n
		to.RoundTrip(now-m.at, upTo-from, whole)
		from = upTo
		if whole {
			f.marks.pop()
		}
	}
	f.dropFront(k)
	f.written -= k
	f.acked = n
	return k, true
}

// settle answers the first k entries. It goes by runs: the frames of a span,
// unless something happened to one of them.
func (f *InFlight) settle(k int, to Acker) {
	frames, bytes := 0, 0
	for i := 0; i < k; {
		e := f.at(i)
		if e.flags&answered != 0 {
			i++
			continue
		}
		n, size := f.run(i, k)
		to.Acked(Run{Source: e.Source, Number: e.Number, Count: uint64(n), Bytes: size})
		f.pool.unref(e.chunk, int32(n))
		frames, bytes = frames+n, bytes+size
		i += n
	}
	f.credit.Settled(frames, bytes)
	f.bytes -= bytes
	f.live -= frames
}

// run counts the entries from i on, before end, that follow each other in all
// that settlement looks at: one source, consecutive numbers, one chunk, none of
// them answered. The entry at i must not be answered.
func (f *InFlight) run(i, end int) (frames, bytes int) {
	ring, last := f.buf, len(f.buf)-1
	first := &ring[(f.head+i)&last]
	e := first
	for {
		frames++
		bytes += int(e.size)
		if i+frames == end {
			return frames, bytes
		}
		e = &ring[(f.head+i+frames)&last]
		if e.Source != first.Source || e.Number != first.Number+uint64(frames) ||
			e.chunk != first.chunk || e.flags&answered != 0 {
			return frames, bytes
		}
	}
}

// Wrote says whether the count data frames from number n on were written, some
// of them perhaps acknowledged since.
func (f *InFlight) Wrote(n, count uint64) bool {
	end := f.acked + uint64(f.written) // the last one
	return n != 0 && n-1 <= end && count <= end-(n-1)
}

// TakeWritten takes a written frame out by its number, which must be above Acked
// and written; its number stays due until an ACK passes it. False means that it
// has its answer already. The bytes are the caller's to release.
func (f *InFlight) TakeWritten(n uint64) (Entry, bool) { return f.takeAt(int(n - f.acked - 1)) }

func (f *InFlight) takeAt(i int) (Entry, bool) {
	e := f.at(i)
	if e.flags&answered != 0 {
		return Entry{}, false
	}
	taken := *e
	e.flags |= answered
	f.credit.Settled(1, int(e.size))
	f.bytes -= int(e.size)
	f.live--
	return taken, true
}

// TakeWrittenIf takes out every written frame of which leaves says so, as
// TakeWritten does, and gives each to taken.
func (f *InFlight) TakeWrittenIf(leaves func(*Entry) bool, taken func(Entry)) {
	for i := range f.written {
		if e := f.at(i); e.flags&answered == 0 && leaves(e) {
			if t, ok := f.takeAt(i); ok {
				taken(t)
			}
		}
	}
}

// TakeUnwritten takes out the last frame if it is not written. The bytes stay
// where they lie and are the caller's to release.
func (f *InFlight) TakeUnwritten() (Entry, bool) {
	if f.n == f.written {
		return Entry{}, false
	}
	return f.popLast(), true
}

// TakeLast takes out the last frame that has no answer, written or not, of a
// connection that is closed. False means that none is left.
func (f *InFlight) TakeLast() (e Entry, written, ok bool) {
	for f.n > 0 && f.at(f.n-1).flags&answered != 0 {
		f.dropLast()
	}
	if f.n == 0 {
		return Entry{}, false, false
	}
	written = f.written == f.n
	return f.popLast(), written, true
}

func (f *InFlight) popLast() Entry {
	e := *f.at(f.n - 1)
	f.bytes -= int(e.size)
	f.live--
	f.dropLast()
	return e
}

func (f *InFlight) dropLast() {
	f.dropBack(1)
	f.written = min(f.written, f.n)
}

// Oldest returns since when the oldest frame without an answer is here, in ms.
// There must be one.
func (f *InFlight) Oldest() uint32 {
	i := 0
	for f.at(i).flags&answered != 0 { // answered out of order: few, and dropped with the next ACK
		i++
	}
	return f.at(i).At
}
