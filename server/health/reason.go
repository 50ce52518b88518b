package health

import "fmt"

// reason says to an operator why the analyzer is in its state.
func (t *target) reason() string {
	switch t.state {
	case Up:
		return t.upReason
	case Suspect:
		return t.suspectReason
	case Draining:
		return t.lossReason
	case Recovering:
		if t.phase == ramping {
			return fmt.Sprintf("slow start, %.0f %% of weight", 100*t.ramp.part())
		}
		return passed(t.checks())
	}
	return t.downReason()
}

func (t *target) downReason() string {
	ready := t.count(linkReady)
	switch {
	case t.phase == lost && ready == len(t.links):
		return passed(0) + " since: " + t.lossReason
	case t.phase == lost:
		return t.lossReason
	case ready > 0:
		return fmt.Sprintf("%d of %d loops connected", ready, len(t.links))
	case t.lastError != "":
		return "not connected: " + t.lastError
	}
	return "not connected yet"
}

func passed(n int) string { return fmt.Sprintf("%d of %d checks passed", n, Checks) }

func orElse(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
