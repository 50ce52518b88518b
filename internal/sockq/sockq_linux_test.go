package sockq_test

import (
	"net"
	"testing"

	"sluice/internal/await"
	"sluice/internal/sockq"
)

func pair(t *testing.T) (ours *net.TCPConn, theirs net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	theirs, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	return c.(*net.TCPConn), theirs
}

func look(t *testing.T, c net.Conn) sockq.State {
	t.Helper()
	s, known := sockq.Of(c)
	if !known {
		t.Fatal("the state of a TCP socket is not known")
	}
	return s
}

func TestAcknowledgedBytesAreCounted(t *testing.T) {
	ours, _ := pair(t)
	before := look(t, ours)
	var p sockq.Progress
	if p.Moved(before) {
		t.Error("the first look saw progress")
	}
	if _, err := ours.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	await.True(t, "acknowledged by the peer's kernel", func() bool { return look(t, ours).Unacked == 0 })
	after := look(t, ours)
	if after.Acked-before.Acked != 1000 {
		t.Errorf("%d bytes acknowledged, want 1000", after.Acked-before.Acked)
	}
	if !p.Moved(after) || p.Moved(after) {
		t.Error("progress was not seen once")
	}
}

// A peer that does not read lets its buffer fill: from then on bytes are queued
// and none arrives.
func TestAFullPeerStopsProgress(t *testing.T) {
	ours, theirs := pair(t)
	if err := theirs.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() {
		_, err := ours.Write(make([]byte, 32<<20))
		written <- err
	}()
	still := 0 // looks in a row without progress and with bytes queued
	var p sockq.Progress
	await.True(t, "stuck", func() bool {
		s := look(t, ours)
		if p.Moved(s) || s.Unacked == 0 {
			still = 0
		} else {
			still++
		}
		return still >= 20
	})
	ours.Close()
	if err := <-written; err == nil {
		t.Error("32 MiB were written to a peer that does not read")
	}
}

func TestWhatIsNotTCPIsNotKnown(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, known := sockq.Of(a); known {
		t.Error("the state of a pipe is known")
	}
	ours, _ := pair(t)
	ours.Close()
	if _, known := sockq.Of(ours); known {
		t.Error("the state of a closed socket is known")
	}
}
