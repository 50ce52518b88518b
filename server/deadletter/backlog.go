package deadletter

// chunk is whole frames back to back, to be written at once. Immutable once
// the writer has it.
type chunk struct {
	frames  []byte
	packets int
	kept    []func() // called once they are safe
}

// backlog is what was put and is not yet safe. packets counts all of it;
// chunks is what the writer has not taken over. Owned by the store's mutex.
type backlog struct {
	chunks  []*chunk
	packets int
}

// slot is the index of a backlog, and of the file it goes to.
func slot(final bool) int {
	if final {
		return 1
	}
	return 0
}

// add copies a frame to the last chunk, or to a new one.
func (b *backlog) add(frame []byte, kept func()) {
	last := len(b.chunks) - 1
	if last < 0 || len(b.chunks[last].frames)+len(frame) > chunkBytes {
		b.chunks = append(b.chunks, &chunk{})
		last++
	}
	c := b.chunks[last]
	c.frames = append(c.frames, frame...)
	c.packets++
	b.packets++
	if kept != nil {
		c.kept = append(c.kept, kept)
	}
}
