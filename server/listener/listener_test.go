package listener

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/internal/await"
)

var quiet = slog.New(slog.DiscardHandler)

// fakeLoop keeps the connections that it is given, and tells.
type fakeLoop struct {
	index    int
	sessions atomic.Int64
	refuse   error
	took     chan<- int

	mu    sync.Mutex
	kept  []net.Conn
	ended []func()
}

func (f *fakeLoop) Agents() int { return int(f.sessions.Load()) }

func (f *fakeLoop) AddAgent(c net.Conn, ended func()) error {
	defer func() { f.took <- f.index }()
	if f.refuse != nil {
		c.Close()
		return f.refuse
	}
	f.sessions.Add(1)
	f.mu.Lock()
	f.kept, f.ended = append(f.kept, c), append(f.ended, ended)
	f.mu.Unlock()
	return nil
}

// end closes the oldest connection, as if its agent had left.
func (f *fakeLoop) end() {
	f.mu.Lock()
	c, ended := f.kept[0], f.ended[0]
	f.kept, f.ended = f.kept[1:], f.ended[1:]
	f.mu.Unlock()
	c.Close()
	f.sessions.Add(-1)
	ended()
}

func newLoops(t *testing.T, sessions ...int64) (loops []Loop, took chan int) {
	took = make(chan int, 64)
	for i, n := range sessions {
		f := &fakeLoop{index: i, took: took}
		f.sessions.Store(n)
		loops = append(loops, f)
		t.Cleanup(func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, c := range f.kept {
				c.Close()
			}
		})
	}
	return loops, took
}

func start(t *testing.T, loops []Loop) *Listener { return startWith(t, Config{}, loops) }

func startWith(t *testing.T, cfg Config, loops []Loop) *Listener {
	t.Helper()
	cfg.Addr, cfg.Logger = "127.0.0.1:0", quiet
	l, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.Start(loops)
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t *testing.T, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr.String(), await.Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(await.Patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheLoopWithTheFewestGetsIt(t *testing.T) {
	await.LeavesNothing(t)
	loops, took := newLoops(t, 2, 0, 1)
	l := start(t, loops)
	for i, want := range []int{1, 1, 2, 0, 1, 2} { // the first of equals
		dial(t, l.Addr())
		if got := await.Value(t, "connection given to a loop", took); got != want {
			t.Fatalf("connection %d went to loop %d, want %d", i, got, want)
		}
	}
}

func TestARefusedConnectionIsClosedAndTheNextAccepted(t *testing.T) {
	await.LeavesNothing(t)
	loops, took := newLoops(t, 0)
	loops[0].(*fakeLoop).refuse = errors.New("stopped")
	l := start(t, loops)
	for range 2 {
		c := dial(t, l.Addr())
		await.Value(t, "connection given to a loop", took)
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the connection is open: %v", err)
		}
	}
}

func TestCloseEndsAcceptingAndNothingElse(t *testing.T) {
	await.LeavesNothing(t)
	loops, took := newLoops(t, 0)
	l := start(t, loops)
	c := dial(t, l.Addr())
	await.Value(t, "connection given to a loop", took)
	for range 2 { // may be called again
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if late, err := net.DialTimeout("tcp", l.Addr().String(), await.Patience); err == nil {
		late.Close()
		t.Error("the port still accepts")
	}
	// What was accepted before lives on.
	kept := loops[0].(*fakeLoop).kept[0]
	if _, err := kept.Write([]byte{7}); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

func TestCloseBeforeStart(t *testing.T) {
	l, err := Listen(Config{Addr: "127.0.0.1:0", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Listen(Config{Addr: l.Addr().String(), Logger: quiet})
	if err != nil {
		t.Fatalf("the address is not free again: %v", err)
	}
	again.Close()
}

func TestAnAddressInUse(t *testing.T) {
	l, err := Listen(Config{Addr: "127.0.0.1:0", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var op *net.OpError
	if _, err := Listen(Config{Addr: l.Addr().String(), Logger: quiet}); !errors.As(err, &op) || !errors.Is(err, syscall.EADDRINUSE) || op.Addr.String() != l.Addr().String() {
		t.Errorf("%v does not say that %v is in use", err, l.Addr())
	}
}
