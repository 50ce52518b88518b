package loop

import (
	"net"
	"testing"

	"sluice/server/dispatch"
)

// TestALinkThatIsBrokenWhenItJoins: the first write fails before the loop knows the
// pump's side of the connection, and the link is lost all the same.
func TestALinkThatIsBrokenWhenItJoins(t *testing.T) {
	w := newWorld(t, 1, func(*dispatch.Config) {})
	ours, theirs := pair(t)
	if err := ours.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	if _, err := theirs.Read(make([]byte, 1)); err == nil {
		t.Fatal("the reset did not arrive")
	}
	if err := w.loop.AddLink(0, theirs); err != nil {
		t.Fatal(err)
	}
	w.awaitEvent(event{"lost", 0})
	w.addAnalyzer(0, true)
}
