package health

import "time"

const (
	// TickEvery is how often Tick is to be called, and the shortest time
	// between two steps of slow start.
	TickEvery = 100 * time.Millisecond

	// Checks is how many good checks in a row every loop's link must pass
	// before an analyzer that was lost is in the table again.
	Checks = 3

	// CheckEvery is the shortest time between two checks that count, and from
	// a link's beginning to its first. The core asks once a second
	// (dispatch.ProbeEvery); a tenth less, so that an answer that was quicker
	// than the one before it is not thrown away. It is also what bounds the
	// transitions of an analyzer that flaps: one that stays for less than this
	// never becomes recovering.
	CheckEvery = 900 * time.Millisecond

	// SuspectHold is how long an analyzer stays suspect after its last suspect
	// link is well again, so that one that is late every now and then is one
	// transition and not many.
	SuspectHold = time.Second

	// rampSteps is the largest number of tables that one slow start makes.
	// Each is a new table for all loops, and with affinity moves some keys;
	// fifty steps of 2 % are as smooth as anybody can see.
	rampSteps = 50

	// rampFloor is the part of its weight with which slow start begins: enough
	// to be seen to work, too little to be swamped.
	rampFloor = 0.1
)
