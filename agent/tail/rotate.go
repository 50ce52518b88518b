package tail

import (
	"io"
	"os"
	"time"

	"sluice/agent/checkpoint"
)

// truncated ends the life of a file that was cut, or cut and written anew, and
// begins the next one on the same inode. It returns false, as there is nothing
// more to do for the old life in this turn.
func (f *File) truncated(st status, lastSize int64, now time.Time) bool {
	f.t.missed(f.path, lastSize-f.pos)
	f.remember()
	f.t.cfg.Store.End(f.id, func(r *checkpoint.File) { r.Ended, r.Why, r.Size = now, whyTruncated, max(r.Size, lastSize) })
	f.over = true
	t, file := f.t, f.file
	var buf [printBytes]byte
	head, err := readHead(file, &buf)
	if err != nil {
		t.problem(f.path, "cannot be read", err)
	}
	next := t.begin(file, f.path, f.name, st, t.sums.printOf(head), now)
	next.matched, next.unmatched = f.matched, f.unmatched
	return false
}

// missed counts and tells bytes that were there and can no longer be read.
func (t *Tailer) missed(path string, unread int64) {
	unread = max(unread, 0)
	t.lost.truncated.Add(unread)
	if unread > 0 {
		t.cfg.Log.Warn("file was truncated unread", "path", path, "unread_bytes", unread)
	} else {
		t.cfg.Log.Info("file was truncated", "path", path)
	}
}

// doubt is the suspicion that a file is a copy of another, as copytruncate makes
// them: it begins with the same bytes, in another inode.
type doubt struct {
	of    string // the other's id
	since time.Time
	acked int64 // of the other, when it was last looked at
}

// suspect looks for a file that f may be a copy of. Files shorter than a
// fingerprint are never copies: they cost little if shipped twice, and many
// different files begin with the same line.
func (t *Tailer) suspect(f *File, now time.Time) {
	if f.print.len < printBytes || f.start > 0 {
		return
	}
	alike := t.cfg.Store.Find(func(r *checkpoint.File) bool {
		return r.PrintLen == f.print.len && r.Print == f.print.sum && (r.Ino != f.inode.ino || r.Dev != f.inode.dev)
	})
	for _, rec := range alike { // of several the one that lives, or that ended last
		if live := t.byID(rec.ID); live != nil && live.doubt != nil {
			continue // two would wait for each other
		}
		f.doubt = &doubt{rec.ID, now, rec.Acked}
		if rec.Ended.IsZero() {
			return
		}
	}
}

// waits says whether the other may still be delivered further. Time in which it
// has packets on their way and none arrives, as when no distributor is there,
// does not count.
func (d *doubt) waits(other progress, now time.Time) bool {
	if other.open > 0 && other.acked == d.acked {
		d.since = now
	}
	d.acked = other.acked
	return now.Sub(d.since) < copyPatience
}

// decide ends a doubt if it can. A copy goes on where its original was
// delivered: so what the original lost when it was truncated is read here. Two
// files that only begin alike are told apart by the checksum of everything that
// was delivered; as long as the original lives, and may be read further, that
// waits for a while.
func (f *File) decide(now time.Time) bool {
	t := f.t
	rec, known := t.cfg.Store.Get(f.doubt.of)
	if known && rec.Ended.IsZero() {
		live := t.byID(rec.ID)
		switch {
		case live == nil:
		case t.cfg.Once && !live.finished():
			return false
		case !t.cfg.Once && f.doubt.waits(live.ledger.progress(), now):
			return false
		}
	} else if l := t.retired[rec.ID]; l != nil && l.progress().open > 0 {
		return false // what is on its way from the original need not be sent from here
	}
	rec, known = t.cfg.Store.Get(f.doubt.of)
	f.doubt = nil
	f.noticed = now
	if !known || rec.Acked <= rec.Start {
		return true
	}
	st, err := statusOf(f.file)
	if err != nil || st.size < rec.Acked {
		return true
	}
	if !t.sameBytes(f.file, rec.Start, rec.Acked, rec.Sum) {
		return true
	}
	f.setSize(st.size)
	f.target = max(f.target, st.size)
	f.start, f.pos, f.sum = rec.Start, rec.Acked, rec.Sum
	f.mid, _ = midLine(f.file, f.pos)
	f.ledger.reset(f.pos, f.sum)
	t.cfg.Store.Begin(f.record())
	if rec.Why == whyTruncated {
		t.lost.recovered.Add(max(st.size-rec.Acked, 0))
	}
	t.cfg.Log.Info("file is a copy, going on where the original was delivered", "path", f.path, "original", rec.Path, "offset", f.pos, "size", st.size)
	return true
}

func (t *Tailer) byID(id string) *File {
	for _, f := range t.files {
		if f.id == id {
			return f
		}
	}
	return nil
}

// sameBytes says whether a part of a file has the checksum that it had. It reads
// all of it, so it is for the rare times at which a file looks odd: it is shorter
// than it was and begins in the same way, or it may be a copy.
func (t *Tailer) sameBytes(f *os.File, from, to int64, want uint64) bool {
	sum, err := t.sumOf(f, from, to)
	return err == nil && sum == want
}

// sumOf is the checksum of a part of a file.
func (t *Tailer) sumOf(f *os.File, from, to int64) (uint64, error) {
	buf := make([]byte, 256<<10)
	var sum uint64
	for from < to {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), to-from)], from)
		if n == 0 {
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		sum = t.sums.add(sum, buf[:n])
		from += int64(n)
	}
	return sum, nil
}
