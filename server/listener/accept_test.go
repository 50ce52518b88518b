package listener

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/internal/await"
	"sluice/internal/ratelog"
)

// failing is a listener that fails so many times, each with the next of errs.
type failing struct {
	net.Listener
	errs     []error
	failures int64
	accepts  atomic.Int64
}

func (f *failing) Accept() (net.Conn, error) {
	n := f.accepts.Add(1) - 1
	if n < f.failures {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: f.errs[n%int64(len(f.errs))]}
	}
	return f.Listener.Accept()
}

// startFailing starts on a failing listener. Pauses are told and do not last,
// but with wait, where they last for ever.
func startFailing(t *testing.T, failures int64, wait bool, log *slog.Logger, loops []Loop, errs ...error) (*Listener, *failing, chan time.Duration) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &failing{Listener: ln, errs: errs, failures: failures}
	l := newListener(Config{Logger: log}, f)
	stopped := time.Unix(1000, 0)
	l.log = ratelog.New(log, func() time.Time { return stopped })
	pauses := make(chan time.Duration, 64)
	l.after = func(d time.Duration) <-chan time.Time {
		pauses <- d
		if wait {
			return nil
		}
		over := make(chan time.Time, 1)
		over <- time.Time{}
		return over
	}
	l.Start(loops)
	t.Cleanup(func() { l.Close() })
	return l, f, pauses
}

// Acceptance row D1: accepting goes on by itself, without spinning, and within
// two seconds of descriptors coming free.
func TestAcceptingSurvivesEveryError(t *testing.T) {
	if longestPause > 2*time.Second {
		t.Error("a pause is longer than 2 s")
	}
	await.LeavesNothing(t)
	loops, took := newLoops(t, 0)
	l, f, pauses := startFailing(t, 18, false, quiet, loops, syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED,
		syscall.ENOBUFS, syscall.ENOMEM, errors.New("what nobody thought of"))
	dial(t, l.Addr())
	await.Value(t, "connection given to a loop", took)
	for i, want := 0, firstPause; i < 18; i, want = i+1, min(2*want, longestPause) {
		if got := await.Value(t, "pause", pauses); got != want {
			t.Errorf("pause %d is %v, want %v", i, got, want)
		}
	}
	if n := f.accepts.Load(); n > 20 {
		t.Errorf("%d accepts for 18 failures and a connection", n)
	}
	await.True(t, "counted", func() bool {
		return l.Counters() == Counters{Open: 1, Accepted: 1, AcceptErrors: AcceptErrors{Descriptors: 6, Memory: 6, Aborted: 3, Other: 3}}
	})
}

// The last descriptor is enough for accept, and not for the loop, which
// duplicates it: that is a reason to pause, too.
func TestALoopWithoutDescriptorsIsGivenTime(t *testing.T) {
	await.LeavesNothing(t)
	loops, took := newLoops(t, 0)
	loops[0].(*fakeLoop).refuse = os.NewSyscallError("fcntl", syscall.EMFILE)
	l, _, pauses := startFailing(t, 0, false, quiet, loops, nil)
	for i, want := 0, firstPause; i < 3; i, want = i+1, 2*want {
		dial(t, l.Addr())
		await.Value(t, "connection given to a loop", took)
		if got := await.Value(t, "pause", pauses); got != want {
			t.Errorf("pause %d is %v, want %v", i, got, want)
		}
	}
	if got, want := l.Counters(), (Counters{NotTaken: 3, AcceptErrors: AcceptErrors{Descriptors: 3}}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// After a success the next failure is a new story.
func TestThePauseBeginsAnew(t *testing.T) {
	await.LeavesNothing(t)
	loops, took := newLoops(t, 0)
	l, f, pauses := startFailing(t, 3, false, quiet, loops, syscall.EMFILE)
	dial(t, l.Addr())
	await.Value(t, "connection given to a loop", took)
	for range 3 {
		await.Value(t, "pause", pauses)
	}
	f.accepts.Store(1) // two more failures, after the accept that is waiting
	dial(t, l.Addr())
	await.Value(t, "connection given to a loop", took)
	if got := await.Value(t, "pause", pauses); got != firstPause {
		t.Errorf("pause is %v, want %v", got, firstPause)
	}
}

func TestCloseWhileOutOfDescriptors(t *testing.T) {
	await.LeavesNothing(t)
	loops, _ := newLoops(t, 0)
	l, f, pauses := startFailing(t, 1<<40, true, quiet, loops, syscall.EMFILE)
	await.Value(t, "pause", pauses)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if n := f.accepts.Load(); n != 1 {
		t.Errorf("%d accepts during one pause", n)
	}
}

// A flood of failures is not a flood of lines.
func TestOneLineForAllFailuresOfAKind(t *testing.T) {
	await.LeavesNothing(t)
	loops, took := newLoops(t, 0)
	var out bytes.Buffer
	l, _, _ := startFailing(t, 60, false, slog.New(slog.NewTextHandler(&out, nil)), loops, syscall.EMFILE, syscall.ENOMEM)
	dial(t, l.Addr())
	await.Value(t, "connection given to a loop", took)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	// Two kinds, each with its first line, and its sum at the end.
	if len(lines) != 4 || strings.Count(out.String(), "suppressed=29") != 2 {
		t.Errorf("%d lines:\n%s", len(lines), out.String())
	}
}

// inMemory is a listener whose connections come from anywhere.
type inMemory struct {
	conns chan net.Conn
	once  chan struct{}
}

type fromAnywhere struct {
	net.Conn
	peer net.Addr
}

func (c fromAnywhere) RemoteAddr() net.Addr { return c.peer }

func (m *inMemory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.once:
		return nil, net.ErrClosed
	}
}

func (m *inMemory) Close() error {
	close(m.once)
	return nil
}

func (m *inMemory) Addr() net.Addr { return &net.TCPAddr{} }

// Acceptance row B4: the loops share 5,000 agents that come at once, and again
// when all of them come back in another order.
func TestLoopsShareAStorm(t *testing.T) {
	await.LeavesNothing(t)
	const agents, workers = 5000, 4
	m := &inMemory{conns: make(chan net.Conn), once: make(chan struct{})}
	l := newListener(Config{Logger: quiet, MaxPerIP: agents}, m)
	var loops []Loop
	took := make(chan int, 2*agents)
	fakes := make([]*fakeLoop, workers)
	for i := range fakes {
		fakes[i] = &fakeLoop{index: i, took: took}
		loops = append(loops, fakes[i])
	}
	l.Start(loops)
	come := func(n int) {
		for i := range n {
			here, there := net.Pipe()
			t.Cleanup(func() { here.Close() })
			m.conns <- fromAnywhere{there, &net.TCPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i)), Port: 1}}
		}
		for range n {
			await.Value(t, "connection given to a loop", took)
		}
	}
	shares := func(all int64) {
		t.Helper()
		least, most, sum := int64(1<<60), int64(0), int64(0)
		for _, f := range fakes {
			n := f.sessions.Load()
			least, most, sum = min(least, n), max(most, n), sum+n
		}
		if sum != all || 2*most > 3*least {
			t.Errorf("%d connections of %d, from %d to %d a loop", sum, all, least, most)
		}
	}
	come(agents)
	shares(agents)
	for i, f := range fakes { // the loops lose unlike shares of theirs
		for range f.sessions.Load() * int64(i+1) / workers {
			f.end()
		}
	}
	left := int64(l.Counters().Open)
	come(agents - int(left))
	shares(agents)
	for _, f := range fakes {
		for f.sessions.Load() > 0 {
			f.end()
		}
	}
	if c := l.Counters(); c.Open != 0 || c.Accepted != uint64(2*agents)-uint64(left) || len(l.limiter.bySource) != 0 {
		t.Errorf("%+v, %d sources", c, len(l.limiter.bySource))
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestALoopThatTakesNothingCostsNoPlace(t *testing.T) {
	await.LeavesNothing(t)
	loops, took := newLoops(t, 0)
	loops[0].(*fakeLoop).refuse = errors.New("stopped")
	l := startWith(t, Config{MaxConnections: 1, MaxPerIP: 1}, loops)
	for range 3 {
		dial(t, l.Addr())
		await.Value(t, "connection given to a loop", took)
	}
	await.True(t, "counted", func() bool { return fmt.Sprint(l.Counters()) == fmt.Sprint(Counters{NotTaken: 3}) })
}
