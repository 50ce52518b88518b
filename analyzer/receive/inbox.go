package receive

// inbox holds admitted data frames, headers included, in the order they came.
// Frames whose numbers follow each other are one run; a new run begins only
// after a frame that was refused before it got here, or with a new segment.
//
// It is a list of segments and not one growing buffer: a burst takes more of
// them and gives them back, and what steady load uses again and again are the
// same few, which are still in the processor's cache.
type inbox struct {
	segments [][]byte // whole frames; of segmentBytes, or of one read that is larger
	runs     []run
	size     int // bytes of frames
}

type run struct {
	first   uint64 // number of the run's first frame
	segment int    // where the run lies: in this segment,
	end     int    // up to here
}

// segments are empty ones of a connection, to be used again. The reader takes
// them and the worker gives them back, both with the connection's lock.
type segments [][]byte

func (f *segments) take(size int) []byte {
	if n := len(*f); n > 0 && size <= segmentBytes {
		s := (*f)[n-1]
		*f = (*f)[:n-1]
		return s
	}
	return make([]byte, 0, max(size, segmentBytes))
}

func (f *segments) give(s []byte) {
	if cap(s) == segmentBytes && len(*f) < spareSegments {
		*f = append(*f, s[:0])
	}
}

// add appends whole frames, the first of which has the number first. follows
// is true if the frame before it is the inbox's last.
func (b *inbox) add(free *segments, first uint64, frames []byte, follows bool) {
	last := len(b.segments) - 1
	if last < 0 || len(frames) > cap(b.segments[last])-len(b.segments[last]) {
		b.segments = append(b.segments, free.take(len(frames)))
		last++
		follows = false
	}
	b.segments[last] = append(b.segments[last], frames...)
	b.size += len(frames)
	end := len(b.segments[last])
	if follows && len(b.runs) > 0 {
		b.runs[len(b.runs)-1].end = end
		return
	}
	b.runs = append(b.runs, run{first, last, end})
}

func (b *inbox) empty() bool { return b.size == 0 }

// reset empties the inbox and gives its segments back.
func (b *inbox) reset(free *segments) {
	for _, s := range b.segments {
		free.give(s)
	}
	clear(b.segments)
	b.segments, b.runs, b.size = b.segments[:0], b.runs[:0], 0
}
