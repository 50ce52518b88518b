//go:build !linux

package sockq

// OfFD knows nothing on this system.
func OfFD(int) (State, bool) { return State{}, false }
