package receive

// inbox holds admitted data frames, headers included, in the order they came.
// Frames whose numbers follow each other are one run; a new run begins only
// after a frame that was refused before it got here.
type inbox struct {
	bytes []byte
	runs  []run
}

type run struct {
	first uint64 // number of the run's first frame
	end   int    // where the run ends in bytes
}

// add appends whole frames, the first of which has the number first. follows
// is true if the frame before it is the inbox's last.
func (b *inbox) add(first uint64, frames []byte, follows bool) {
	b.bytes = append(b.bytes, frames...)
	if follows && len(b.runs) > 0 {
		b.runs[len(b.runs)-1].end = len(b.bytes)
		return
	}
	b.runs = append(b.runs, run{first, len(b.bytes)})
}

func (b *inbox) empty() bool { return len(b.bytes) == 0 }

// reset empties the inbox. One that a burst made large is given back as soon as
// a batch needs only a small part of it; not before, or steady load would
// allocate it again and again.
func (b *inbox) reset() {
	if cap(b.bytes) > keepInbox && len(b.bytes) < cap(b.bytes)/8 {
		b.bytes = nil
	}
	b.bytes, b.runs = b.bytes[:0], b.runs[:0]
}
