package health

import "time"

// linkPhase is how far one loop's link has come.
type linkPhase uint8

const (
	linkGone     linkPhase = iota // no connection, or no WELCOME yet
	linkReady                     // carries data
	linkDraining                  // the analyzer said GOAWAY on it
)

// link is what is known of one loop's link to one analyzer. Owned by the
// Monitor.
type link struct {
	phase     linkPhase
	suspect   bool
	checks    int       // good ones since the link began, was suspect, or the analyzer was lost
	checkedAt time.Time // the next check counts CheckEvery after this
}

func (l *link) begin(now time.Time) { *l = link{phase: linkReady, checkedAt: now} }

// distrust makes the checks begin anew.
func (l *link) distrust(now time.Time) { l.checks, l.checkedAt = 0, now }

// check counts a good check if it comes late enough after the one before.
func (l *link) check(now time.Time) {
	if now.Sub(l.checkedAt) >= CheckEvery {
		l.checks++
		l.checkedAt = now
	}
}
