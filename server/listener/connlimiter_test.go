package listener

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"

	"sluice/internal/await"
	"sluice/protocol"
)

func tcp(t *testing.T, addr string) net.Addr {
	t.Helper()
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return net.TCPAddrFromAddrPort(ap)
}

func TestSource(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.7:1":                  "192.0.2.7",
		"[::ffff:192.0.2.7]:9":         "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:1":     "2001:db8:1:2::",
		"[2001:db8:1:2::9]:2":          "2001:db8:1:2::",
		"[2001:db8:1:3::9]:2":          "2001:db8:1:3::",
		"[fe80::1%eth0]:2":             "fe80::",
		"[::1]:2":                      "::",
		"[64:ff9b::c000:207]:2":        "64:ff9b::",
		"[::ffff:0:192.0.2.7]:1":       "::",
		"[ffff:ffff:ffff:ffff::1]:443": "ffff:ffff:ffff:ffff::",
	} {
		if got := source(tcp(t, peer)).String(); got != want {
			t.Errorf("%s counts as %s, want %s", peer, got, want)
		}
	}
	if got := source(&net.UnixAddr{}); got.IsValid() {
		t.Errorf("a unix socket counts as %s", got)
	}
}

func TestDoors(t *testing.T) {
	type step struct {
		peer string // who comes; with a dash before it, who leaves
		want refusal
	}
	for name, tc := range map[string]struct {
		max, perSource int
		steps          []step
	}{
		"no limits":    {0, 0, []step{{"10.0.0.1:1", admitted}, {"10.0.0.1:2", admitted}, {"10.0.0.1:3", admitted}}},
		"in all":       {2, 0, []step{{"10.0.0.1:1", admitted}, {"10.0.0.1:2", admitted}, {"10.0.0.2:1", limitReached}, {"-10.0.0.1:1", admitted}, {"10.0.0.2:1", admitted}, {"10.0.0.2:2", limitReached}}},
		"per address":  {9, 2, []step{{"10.0.0.1:1", admitted}, {"10.0.0.1:2", admitted}, {"10.0.0.1:3", addressLimitReached}, {"10.0.0.2:1", admitted}, {"-10.0.0.1:2", admitted}, {"10.0.0.1:3", admitted}, {"10.0.0.1:4", addressLimitReached}}},
		"mapped IPv4":  {9, 1, []step{{"10.0.0.1:1", admitted}, {"[::ffff:10.0.0.1]:2", addressLimitReached}}},
		"IPv6 by /64":  {9, 1, []step{{"[2001:db8:0:1::1]:1", admitted}, {"[2001:db8:0:1:ffff::2]:1", addressLimitReached}, {"[2001:db8:0:2::1]:1", admitted}}},
		"both, in all": {1, 1, []step{{"10.0.0.1:1", admitted}, {"10.0.0.1:2", limitReached}}},
	} {
		t.Run(name, func(t *testing.T) {
			var d connLimiter
			d.init(tc.max, tc.perSource)
			in := map[string]func(){}
			for i, s := range tc.steps {
				if s.peer[0] == '-' {
					in[s.peer[1:]]()
					delete(in, s.peer[1:])
					continue
				}
				leave, got := d.enter(tcp(t, s.peer))
				if got != s.want || (leave == nil) != (got != admitted) {
					t.Errorf("step %d, %s: %d, want %d", i, s.peer, got, s.want)
				}
				if leave != nil {
					in[s.peer] = leave
				}
			}
			if d.count() != len(in) {
				t.Errorf("%d are in, want %d", d.count(), len(in))
			}
			for _, leave := range in {
				leave()
			}
			if d.count() != 0 || len(d.bySource) != 0 {
				t.Errorf("%d are left, of %d sources", d.count(), len(d.bySource))
			}
		})
	}
}

// wantGoaway reads what a refused connection is told, and its end.
func wantGoaway(t *testing.T, c net.Conn, text string) {
	t.Helper()
	r := protocol.NewFrameReader(c, protocol.DefaultMaxFrame)
	body, err := r.Next()
	if err != nil {
		t.Fatalf("no last words: %v", err)
	}
	var m protocol.Control
	if err := protocol.ParseControl(body, &m); err != nil || m.Op != protocol.OpGoaway || protocol.GoawayCode(m.Code) != protocol.GoawayOverload || string(m.Text) != text {
		t.Errorf("it was told %+v, %v", m, err)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("%v after the last words, want the end", err)
	}
}

func TestTooManyAreToldSo(t *testing.T) {
	await.LeavesNothing(t)
	for name, tc := range map[string]struct {
		cfg  Config
		text string
		want Counters
	}{
		"in all":      {Config{MaxConnections: 2}, "too many connections; come again later", Counters{Open: 2, Accepted: 3, RefusedLimit: 1}},
		"per address": {Config{MaxConnections: 9, MaxPerIP: 2}, "too many connections from one address", Counters{Open: 2, Accepted: 3, RefusedPerIP: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			loops, took := newLoops(t, 0)
			l := startWith(t, tc.cfg, loops)
			for range 2 {
				dial(t, l.Addr())
				await.Value(t, "connection given to a loop", took)
			}
			refused := dial(t, l.Addr())
			// It has sent before it hears: that must not destroy what it hears.
			if _, err := refused.Write(make([]byte, 64<<10)); err != nil {
				t.Fatal(err)
			}
			wantGoaway(t, refused, tc.text)
			refused.Close()
			// A place that comes free is given to the next.
			loops[0].(*fakeLoop).end()
			dial(t, l.Addr())
			await.Value(t, "connection given to a loop", took)
			await.True(t, "counted", func() bool { return l.Counters() == tc.want })
		})
	}
}

// Of many refused at a time only a few are waited for, and all are closed.
func TestAFloodOfRefusals(t *testing.T) {
	await.LeavesNothing(t)
	loops, took := newLoops(t, 0)
	l := startWith(t, Config{MaxConnections: 1}, loops)
	dial(t, l.Addr())
	await.Value(t, "connection given to a loop", took)
	const flood = 4 * maxLingering
	conns := make([]net.Conn, flood)
	for i := range conns {
		conns[i] = dial(t, l.Addr()) // and does not close
	}
	await.True(t, "all refused", func() bool { return l.Counters().RefusedLimit == flood })
	if n := len(l.lingering); n > maxLingering {
		t.Errorf("%d linger", n)
	}
	for i, c := range conns {
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("connection %d is open", i)
		}
		c.Close()
	}
	await.True(t, "nobody lingers", func() bool { return len(l.lingering) == 0 })
}
