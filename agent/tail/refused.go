package tail

import (
	"errors"
	"time"

	"sluice/agent/checkpoint"
	"sluice/protocol"
)

// refusedTurn waits until all that is on its way has an answer, and begins anew
// at the offset that was reached: with smaller packets if they were too large,
// with the same ones after a while otherwise. Nothing is skipped: a file with a
// packet that nobody takes stays where it is, and says so.
func (f *File) refusedTurn(pr progress, now time.Time) bool {
	f.next = now.Add(quietPoll)
	if pr.open > 0 {
		return false
	}
	if pr.refusal.code == protocol.NackTooLarge && f.shrink(pr.refusal) {
		f.t.cfg.Log.Warn("file: a packet is too large for the receiver, making smaller ones", "path", f.path,
			"packet_bytes", pr.refusal.bytes, "records", f.split.MaxLines, "raw_bytes", f.batch, "record_bytes", f.split.MaxRecord)
		f.t.cfg.Store.Recut(f.id)
		f.rewind()
		return true
	}
	if f.stuck.IsZero() {
		f.stuck = now
		f.problem("a packet is refused, nothing more of this file is sent", errors.New(pr.refusal.code.String()))
	}
	if f.t.cfg.Once || now.Sub(f.stuck) < retryRefused {
		return false
	}
	f.stuck = time.Time{}
	f.rewind()
	return true
}

// smallest is below what packets and records are not made smaller, in raw bytes.
// What a receiver refuses then it refuses for what each record carries besides.
const smallest = 256

// shrink makes this file's packets smaller than the one that was refused: half
// of its records, down to one, and then half of that record. It returns false if
// they cannot be made smaller.
func (f *File) shrink(r refusal) bool {
	s := *f.split
	switch {
	case r.records > 1 && s.First != nil && f.batch > smallest:
		f.batch = max(smallest, min(f.batch, r.raw)/2) // a number of lines would tear records apart
	case r.records > 1:
		s.MaxLines = max(1, r.records/2)
		f.batch = max(smallest, min(f.batch, r.raw)/2)
	case s.MaxRecord > smallest:
		s.MaxRecord = max(smallest, min(s.MaxRecord, r.raw)/2)
	default:
		return false
	}
	f.split = &s
	return true
}

// rewind goes back to the offset that was reached. What was delivered beyond it
// is passed over.
func (f *File) rewind() {
	rec, _ := f.t.cfg.Store.Get(f.id)
	f.cuts = rec.Cuts
	ahead := f.kept // of an earlier refusal, and not reached since
	f.pos, f.sum, f.kept = f.ledger.restart()
	f.kept = append(f.kept, ahead...)
	f.tried, f.drained = -1, false
	f.mid, _ = midLine(f.file, f.pos)
}

// readTo is where reading has to stop for now.
func (f *File) readTo() int64 {
	if len(f.kept) > 0 {
		return f.kept[0].start
	}
	return f.size.Load()
}

// passKept moves the position over what was delivered before.
func (f *File) passKept() {
	for len(f.kept) > 0 && f.kept[0].start == f.pos {
		k := f.kept[0]
		f.kept = f.kept[1:]
		f.pos, f.sum = k.end, k.sum
		f.mid, _ = midLine(f.file, f.pos)
		for len(f.cuts) > 0 && f.cuts[0] <= f.pos {
			f.cuts = f.cuts[1:]
		}
		f.t.cfg.Store.Cut(f.id, k.end)
		if acked, sum, moved := f.ledger.keep(k.span); moved {
			f.t.cfg.Store.Acked([]checkpoint.Ack{{ID: f.id, Offset: acked, Sum: sum}})
		}
	}
}
