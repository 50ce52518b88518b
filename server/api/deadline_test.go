package api

import (
	"net"
	"testing"
	"time"
)

// armed is a connection that notes which deadlines it was given.
type armed struct {
	net.Conn
	reads, writes []time.Time
}

func (a *armed) SetReadDeadline(t time.Time) error  { a.reads = append(a.reads, t); return nil }
func (a *armed) SetWriteDeadline(t time.Time) error { a.writes = append(a.writes, t); return nil }
func (a *armed) Read(p []byte) (int, error)         { return len(p), nil }

// Of the deadlines for a read the last one counts, and only if something is read.
func TestReadDeadlineIsArmedByARead(t *testing.T) {
	raw := &armed{}
	c := &conn{Conn: raw}
	at := time.Unix(1000, 0)
	read := func() {
		if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	for i := range 3 {
		if err := c.SetReadDeadline(at.Add(time.Duration(i))); err != nil {
			t.Fatal(err)
		}
	}
	read()
	read()
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	read()
	if len(raw.reads) != 2 || !raw.reads[0].Equal(at.Add(2)) || !raw.reads[1].IsZero() {
		t.Errorf("armed: %v", raw.reads)
	}
}

// A write may end a little early, and never late.
func TestWriteDeadlineIsNeverLate(t *testing.T) {
	raw := &armed{}
	c := &conn{Conn: raw}
	at := time.Unix(1000, 0)
	asked := []struct {
		at    time.Time
		armed bool
	}{
		{at, true},
		{at.Add(deadlineSlack - 1), false},
		{at.Add(deadlineSlack), true},
		{at.Add(time.Second / 2), true}, // earlier than what is armed
		{time.Time{}, true},
		{at, true},
	}
	for i, a := range asked {
		was := len(raw.writes)
		if err := c.SetWriteDeadline(a.at); err != nil {
			t.Fatal(err)
		}
		if got := len(raw.writes) > was; got != a.armed {
			t.Errorf("%d: %v: armed %v, want %v", i, a.at, got, a.armed)
		}
	}
}

// A request that keeps arriving has as long as it takes; one that brings too little
// has the time that it was given.
func TestReadDeadlineIsPutOffByProgress(t *testing.T) {
	for _, bytes := range []int{floorRate*30 - 1, floorRate * 30} {
		raw := &armed{}
		c := &conn{Conn: raw}
		at := time.Now().Add(time.Second)
		if err := c.SetReadDeadline(at); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{bytes, 1} {
			if _, err := c.Read(make([]byte, n)); err != nil {
				t.Fatal(err)
			}
		}
		if putOff := len(raw.reads) == 2 && raw.reads[1].After(at); putOff != (bytes >= floorRate*30) {
			t.Errorf("%d bytes: the deadline %v became %v", bytes, at, raw.reads)
		}
	}
}
