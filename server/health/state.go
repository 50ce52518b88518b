package health

import "time"

// State of an analyzer, as operators see it.
type State string

// The states.
const (
	Up         State = "up"         // every loop has a link that carries data; full weight
	Suspect    State = "suspect"    // some link is silent or late; the weight stands, the core gives that link nothing new
	Down       State = "down"       // some loop has no link, or no check has passed since; weight 0
	Recovering State = "recovering" // checks pass, then slow start; weight 0, then a growing part
	Draining   State = "draining"   // it said GOAWAY and its links still stand; weight 0
)

// States returns all of them.
func States() []State { return []State{Up, Suspect, Down, Recovering, Draining} }

// Status is what is known of one analyzer. Immutable.
type Status struct {
	State           State
	Since           time.Time // of the state
	Reason          string    // why it is in this state, for people
	LastError       string    // of the last link that was lost or dial that failed; stays when all is well again
	Transitions     int       // of the state since the start
	Failures        uint64    // links that were lost and dials that failed, since the start
	Left            bool      // it was removed; the rest is what was last known of it
	EffectiveWeight float64   // in the unit of the configured weights: what counts in the table now
}
