// Package stage is where frames lie between their arrival and their
// settlement: in flight to an analyzer, or waiting for one.
//
// Bytes are copied once, to the end of a chunk, and stay there until the frame
// is settled. An Entry of 32 bytes says where they lie and whose they are;
// moving a frame from one place to another moves its entry.
//
//	Pool       gives and takes back chunks, charged to a Budget
//	InFlight   a link's window: ring, chunks, bytes, live count, what was
//	           written, and the analyzer's credit
//	WaitQueue  frames that no link holds, each with a place of a Places count
//
// Each type keeps its own counters; nobody else touches them. What to do with a
// frame is the caller's decision.
package stage
