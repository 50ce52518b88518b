package stage

// Entry says where one admitted frame lies and whose it is. 32 bytes without
// pointers: a million of them cost the collector nothing. A plain value.
type Entry struct {
	Number   uint64 // the source's number of the frame
	Source   uint32 // slot of the source
	chunk    uint32 // id of the chunk
	offset   uint32 // of the header in the chunk
	size     uint32 // bytes, header included
	At       uint32 // ms since the core's epoch: in its place since, or due at
	Attempts uint8  // hand-overs that failed
	flags    uint8
}

const (
	// answered marks an entry in flight that was answered out of order or moved
	// away: its bytes are no longer its own, its number is still due.
	answered uint8 = 1 << iota
	// picked marks an entry that has used its number of the sequence.
	picked
)

// Size returns the bytes of the frame, header included.
func (e *Entry) Size() int { return int(e.size) }

// Picked says whether an analyzer was picked for the frame.
func (e *Entry) Picked() bool { return e.flags&picked != 0 }

// SetPicked notes that an analyzer was picked for the frame.
func (e *Entry) SetPicked() { e.flags |= picked }
