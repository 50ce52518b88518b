package tail

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"sluice/agent/checkpoint"
	"sluice/agent/lines"
	"sluice/agent/ship"
	"sluice/client"
)

// File is one life of a file that is followed. It belongs to Run's goroutine,
// but for the ledger and the atomic values.
type File struct {
	t      *Tailer
	file   *os.File
	path   string // where it was last seen
	real   string // where the symbolic link at path led when it was opened; empty: it is none
	name   string // where it was found first; it stays the path that records carry
	id     string
	inode  inode
	birth  int64
	print  fingerprint
	origin *ship.Origin

	start   int64
	pos     int64
	sum     uint64 // of the bytes from start to pos
	mid     bool   // pos is within a line
	cuts    []int64
	kept    []kept          // ahead of pos, ascending: what need not be sent again
	batch   int             // raw bytes of a packet, unless one record has more
	split   *lines.Splitter // the tailer's, or a stricter one
	ledger  ledger
	doubt   *doubt // it may be a copy; nil: it is none
	stuck   time.Time
	target  int64 // where --once ends
	drained bool  // --once has read it

	mtime     time.Time
	noticed   time.Time // when the first byte at pos was seen
	grew      time.Time
	poll      time.Duration
	next      time.Time // when to ask again
	tried     int64     // size and flush of the last read that made no packet
	triedAs   lines.Flush
	matched   bool
	unmatched time.Time
	over      bool

	complained int64 // what was delivered when a problem was told; -1: there is none

	size atomic.Int64
	view atomic.Pointer[view] // for statistics
}

func (f *File) setSize(n int64) { f.size.Store(n) }

// Settled implements ship.Owner.
func (f *File) Settled(p *ship.Packet, o client.Outcome) (checkpoint.Ack, bool) {
	if !o.Delivered {
		f.ledger.undelivered(refusal{o.Code, p.Records, int(p.End - p.Start), p.Body})
		return checkpoint.Ack{}, false
	}
	acked, sum, moved := f.ledger.delivered(p.End)
	return checkpoint.Ack{ID: f.id, Offset: acked, Sum: sum}, moved
}

// turn does one step and says whether another may follow at once.
func (f *File) turn(now time.Time) bool {
	pr := f.ledger.progress()
	if f.complained >= 0 && pr.acked > f.complained {
		f.complained = -1
		f.t.solved(f.path)
	}
	if pr.refusal.code != 0 {
		return f.refusedTurn(pr, now)
	}
	if f.doubt != nil && !f.decide(now) {
		f.next = now.Add(quietPoll)
		return false
	}
	if !now.Before(f.next) && !f.ask(now) {
		return false
	}
	return f.ship(pr, now)
}

// ask looks at the file's size and sets when to look again. It returns false if
// this life is over.
func (f *File) ask(now time.Time) bool {
	st, err := statusOf(f.file)
	if err != nil {
		f.problem("cannot be looked at", err)
		f.next = now.Add(quietPoll)
		return true
	}
	old := f.size.Load()
	if st.size < f.pos || st.size < old && (!f.stillSame() || !f.t.sameBytes(f.file, f.start, f.pos, f.sum)) {
		return f.truncated(st, old, now)
	}
	if st.size != old {
		if old == f.pos || old == f.tried { // what was there before was nothing, or half a line
			f.noticed = now
		}
		f.grew, f.poll = now, hotPoll
		f.setSize(st.size)
	} else {
		if !st.mtime.Equal(f.mtime) && !f.stillSame() {
			return f.truncated(st, old, now)
		}
		f.poll = min(2*f.poll, quietPoll)
	}
	f.mtime = st.mtime
	f.next = now.Add(f.poll)
	if f.poll == quietPoll {
		f.next = f.t.nextScan // all quiet files are asked in one go: one wake-up a second, not one for each
	}
	if !f.unmatched.IsZero() && f.quiet(now) && f.pos == st.size && !f.t.cfg.Once {
		if f.ledger.progress().open == 0 {
			f.end(whyFinished, now)
			return false
		}
	}
	return true
}

// quiet says whether a file that no pattern matches has not grown for so long
// that nobody will write to it any more.
func (f *File) quiet(now time.Time) bool {
	return now.Sub(f.grew) >= closeAfter && now.Sub(f.unmatched) >= closeAfter
}

// stillSame compares the file's beginning with its fingerprint.
func (f *File) stillSame() bool {
	var buf [printBytes]byte
	head, err := readHead(f.file, &buf)
	if err != nil || !f.t.sums.matches(f.print, head) {
		return false
	}
	if f.print.len < len(head) {
		f.print = f.t.sums.printOf(head)
		f.remember()
	}
	return true
}

// ship reads, cuts and ships one packet, if it is time for one.
func (f *File) ship(pr progress, now time.Time) bool {
	f.passKept()
	size := f.size.Load()
	left := f.readTo() - f.pos
	if left <= 0 || f.t.cfg.Once && f.pos >= f.target {
		f.drained = f.t.cfg.Once
		return false
	}
	flush, due := f.urgency(left, now)
	if !due || size == f.tried && flush == f.triedAs {
		return false
	}
	want := min(left, int64(f.packetBytes()))
	if len(f.cuts) > 0 {
		want = f.cuts[0] - f.pos
	}
	if pr.unsettled > 0 && pr.unsettled+want > f.t.cfg.ReadAhead {
		return false
	}
	if wait := f.t.cfg.Limit.Wait(now); wait > 0 {
		f.next = now.Add(wait)
		return false
	}
	buf := f.t.cfg.Shipper.TryBuffer()
	if buf == nil {
		return false
	}
	if int64(len(buf)) < want { // packets were longer before the agent was restarted
		buf = make([]byte, want)
	}
	return f.shipRead(buf, int(want), flush, now)
}

// packetBytes is how many raw bytes the next packet is to have.
func (f *File) packetBytes() int { return min(f.batch, f.t.cfg.Shipper.Batch()) }

// urgency says how much may be taken, and whether it is time to read.
func (f *File) urgency(left int64, now time.Time) (flush lines.Flush, due bool) {
	c := &f.t.cfg
	if len(f.kept) > 0 {
		return lines.Hold, true
	}
	switch {
	case c.Once && f.pos+left >= f.target, !f.unmatched.IsZero() && f.quiet(now):
		flush = lines.All
	case c.Splitter.First != nil && now.Sub(f.grew) >= c.Hold:
		flush = lines.Lines
	}
	if c.Once || len(f.cuts) > 0 || left >= int64(f.packetBytes()) || flush == lines.All {
		return flush, true
	}
	if c.Splitter.First != nil && flush == lines.Hold {
		f.wakeBy(f.grew.Add(c.Hold), now)
	}
	ready := f.noticed.Add(c.Linger)
	f.wakeBy(ready, now)
	return flush, !now.Before(ready)
}

// wakeBy makes the next look come no later than a moment that is still ahead.
func (f *File) wakeBy(at, now time.Time) {
	if at.After(now) && at.Before(f.next) {
		f.next = at
	}
}

// shipRead reads into buf and ships what makes a packet.
func (f *File) shipRead(buf []byte, want int, flush lines.Flush, now time.Time) bool {
	shipper := f.t.cfg.Shipper
	n, err := f.file.ReadAt(buf[:want], f.pos)
	if err != nil && !errors.Is(err, io.EOF) {
		f.problem("cannot be read", err)
		f.next = now.Add(quietPoll)
		shipper.PutBuffer(buf)
		return false
	}
	if !f.stillSame() || n < want {
		shipper.PutBuffer(buf)
		st, err := statusOf(f.file)
		if err != nil {
			f.problem("cannot be looked at", err)
			return false
		}
		f.truncated(st, f.size.Load(), now)
		return false
	}
	end := f.cut(buf[:n], flush)
	if end == 0 {
		// Packets that were too large are made smaller before records are, so a
		// record may be longer than a packet was to be.
		if longer := int(min(f.readTo()-f.pos, int64(f.split.MaxRecord))); longer > want {
			return f.shipRead(buf, longer, flush, now)
		}
		f.tried, f.triedAs = f.size.Load(), flush
		shipper.PutBuffer(buf)
		return false
	}
	p := &ship.Packet{Origin: f.origin, Owner: f, Start: f.pos, End: f.pos + int64(end), Raw: buf[:end],
		Splitter: f.split, Mid: f.mid, Open: len(f.kept) > 0 && buf[end-1] != '\n', Before: f.mtime, Read: now}
	f.pos = p.End
	f.sum = f.t.sums.add(f.sum, p.Raw)
	f.mid = p.Raw[end-1] != '\n'
	f.ledger.add(p.End, f.sum, f.noticed)
	f.noticed = now
	f.tried = -1
	f.t.cfg.Store.Cut(f.id, p.End)
	f.t.cfg.Limit.Take(end)
	shipper.Ship(p)
	return true
}

// cut says how much of b, which was read at pos, makes a packet; 0: it has to
// wait for more. Packets that may have been sent are cut where they were.
func (f *File) cut(b []byte, flush lines.Flush) int {
	if len(f.cuts) > 0 {
		f.cuts = f.cuts[1:]
		return len(b)
	}
	if flush == lines.All && f.pos+int64(len(b)) < f.size.Load() {
		flush = lines.Hold // the end is further on
	}
	end := f.split.Cut(b, len(b) >= max(f.batch, f.split.MaxRecord), flush)
	if end == 0 && len(f.kept) > 0 && f.pos+int64(len(b)) == f.kept[0].start {
		return len(b) // what comes next was delivered
	}
	return end
}

// problem tells a fault that is over when more of the file was delivered.
func (f *File) problem(what string, err error) {
	f.complained = f.ledger.progress().acked
	f.t.problem(f.path, what, err)
}

// finished says whether --once is done with the file.
func (f *File) finished() bool {
	if !f.stuck.IsZero() {
		return true
	}
	pr := f.ledger.progress()
	return f.doubt == nil && pr.refusal.code == 0 && pr.open == 0 && (f.drained || f.pos >= f.target)
}

// remember writes what may change of a file's identity to its record.
func (f *File) remember() {
	f.t.cfg.Store.Update(f.id, func(r *checkpoint.File) {
		r.Path, r.Print, r.PrintLen, r.Size = f.path, f.print.sum, f.print.len, f.size.Load()
	})
}

// record is what is remembered of a file that nothing was shipped of.
func (f *File) record() checkpoint.File {
	return checkpoint.File{
		ID: f.id, Path: f.path, Real: f.real, Name: f.name, Dev: f.inode.dev, Ino: f.inode.ino, Birth: f.birth,
		Print: f.print.sum, PrintLen: f.print.len, Start: f.start, Acked: f.pos, Sum: f.sum, Size: f.size.Load(),
	}
}

// end closes a life for good.
func (f *File) end(why string, now time.Time) {
	f.remember()
	f.t.cfg.Store.End(f.id, func(r *checkpoint.File) { r.Ended, r.Why = now, why })
	f.file.Close()
	f.over = true
	f.t.cfg.Log.Debug("file: "+why, "path", f.path, "id", f.id, "offset", f.pos)
}
