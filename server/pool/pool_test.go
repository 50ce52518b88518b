package pool

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"sluice/internal/await"
)

// added is a connection that a taker was given.
type added struct{ loop, analyzer int }

// taker is a loop that closes what it gets, and tells.
type taker struct {
	loop   int
	refuse error
	got    chan<- added
	gone   chan<- added // retired; may be nil
}

func (k *taker) RetireLink(analyzer int, _ string) {
	if k.gone != nil {
		k.gone <- added{k.loop, analyzer}
	}
}

func (k *taker) AddLink(analyzer int, c net.Conn) error {
	c.Close()
	k.got <- added{k.loop, analyzer}
	return k.refuse
}

type failure struct {
	analyzer int
	err      error
}

// listen accepts and closes until the test ends.
func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	})
	t.Cleanup(func() { ln.Close(); done.Wait() })
	return ln
}

// start runs a pool that is stopped with the test. loops refuse with refuse.
func start(t *testing.T, loops int, refuse error, addrs ...string) (*Pool, chan added, chan failure) {
	t.Helper()
	got, failed := make(chan added, 256), make(chan failure, 256)
	targets := make([]Target, len(addrs))
	for i, a := range addrs {
		targets[i] = Target{Name: a, Addr: a}
	}
	takers := make([]Taker, loops)
	for i := range takers {
		takers[i] = &taker{loop: i, refuse: refuse, got: got}
	}
	p := New(targets, func(analyzer int, err error) { failed <- failure{analyzer, err} })
	p.Start(takers)
	t.Cleanup(p.Stop)
	return p, got, failed
}

func TestDialsEachTargetForEachLoop(t *testing.T) {
	await.LeavesNothing(t)
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	p, got, failed := start(t, 2, nil, a.Addr().String(), b.Addr().String())
	seen := map[added]int{}
	for range 4 {
		seen[await.Value(t, "connection", got)]++
	}
	p.Stop()
	if len(seen) != 4 || len(got) != 0 || len(failed) != 0 {
		t.Errorf("connections %v, %d more, %d failures", seen, len(got), len(failed))
	}
}

func TestRedialsWhatIsLostAndNothingElse(t *testing.T) {
	await.LeavesNothing(t)
	ln := listen(t, "127.0.0.1:0")
	p, got, _ := start(t, 2, nil, ln.Addr().String())
	await.Value(t, "connection", got)
	await.Value(t, "connection", got)
	for range 2 {
		p.Ready(1, 0)
		p.Lost(1, 0)
		if again := await.Value(t, "second connection", got); again != (added{1, 0}) {
			t.Fatalf("redialled for %+v", again)
		}
	}
	p.Stop()
	if len(got) != 0 {
		t.Errorf("a connection that nobody asked for: %+v", <-got)
	}
}

func TestFailedDialsAreReportedAndTriedAgain(t *testing.T) {
	await.LeavesNothing(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	_, got, failed := start(t, 1, nil, addr)
	for range 2 {
		f := await.Value(t, "failure", failed)
		var op *net.OpError
		if f.analyzer != 0 || !errors.As(f.err, &op) || !strings.Contains(f.err.Error(), addr) {
			t.Fatalf("failure %+v does not name %s", f, addr)
		}
	}
	listen(t, addr) // the analyzer is back
	await.Value(t, "connection", got)
}

func TestARefusingLoopIsAFailure(t *testing.T) {
	await.LeavesNothing(t)
	refuse := errors.New("loop is full")
	_, got, failed := start(t, 1, refuse, listen(t, "127.0.0.1:0").Addr().String())
	for range 2 {
		await.Value(t, "connection", got)
		if f := await.Value(t, "failure", failed); !errors.Is(f.err, refuse) {
			t.Fatalf("reported %v", f.err)
		}
	}
}

func TestStopEndsTheWaitForALoss(t *testing.T) {
	await.LeavesNothing(t)
	p, got, _ := start(t, 3, nil, listen(t, "127.0.0.1:0").Addr().String())
	for range 3 {
		await.Value(t, "connection", got)
	}
	p.Stop() // all three wait for a loss
	p.Lost(0, 0)
	p.Lost(0, 0) // loops that close their links afterwards are not kept waiting
}

// Names move when containers do, so a name is resolved at each dial.
func TestTheNameIsResolvedAtEachDial(t *testing.T) {
	await.LeavesNothing(t)
	first := listen(t, "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(first.Addr().String())
	second, err := net.Listen("tcp", net.JoinHostPort("127.0.0.2", port))
	if err != nil {
		t.Skipf("this machine has no second loopback address: %v", err)
	}
	defer second.Close()
	names := &nameServer{addr: [4]byte{127, 0, 0, 1}}
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: names.dial}
	t.Cleanup(func() { net.DefaultResolver = before; names.done.Wait() })

	p, got, _ := start(t, 1, nil, net.JoinHostPort("analyzer.sluice.test.", port))
	await.Value(t, "connection", got)
	names.moveTo([4]byte{127, 0, 0, 2})
	p.Lost(0, 0)
	arrived := make(chan error, 1)
	go func() {
		c, err := second.Accept()
		if err == nil {
			c.Close()
		}
		arrived <- err
	}()
	if err := await.Value(t, "connection at the new address", arrived); err != nil {
		t.Fatal(err)
	}
	await.Value(t, "connection", got)
}

// nameServer answers every A query with addr, and other queries with nothing.
// Go's resolver speaks DNS over whatever its Dial returns, here a pipe.
type nameServer struct {
	mu   sync.Mutex
	addr [4]byte
	done sync.WaitGroup
}

func (s *nameServer) moveTo(addr [4]byte) {
	s.mu.Lock()
	s.addr = addr
	s.mu.Unlock()
}

func (s *nameServer) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	s.done.Go(func() {
		defer there.Close()
		for {
			query := make([]byte, 2) // a stream, so each message has its length before it
			if _, err := io.ReadFull(there, query); err != nil {
				return
			}
			query = make([]byte, binary.BigEndian.Uint16(query))
			if _, err := io.ReadFull(there, query); err != nil {
				return
			}
			answer := s.answer(query)
			if _, err := there.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
				return
			}
		}
	})
	return here, nil
}

// answer makes the reply to a query of one question (RFC 1035, section 4).
func (s *nameServer) answer(query []byte) []byte {
	end := 12
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 5 // the root label, type and class
	answer := append([]byte(nil), query[:end]...)
	copy(answer[2:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}) // response, no error, one question
	if kind := binary.BigEndian.Uint16(query[end-4:]); kind == 1 {
		answer[7] = 1                                                   // one answer
		answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4) // the name above, A, IN, not to be kept, 4 bytes
		s.mu.Lock()
		answer = append(answer, s.addr[:]...)
		s.mu.Unlock()
	}
	return answer
}

// Another target: the link to the one before is retired, and when it is lost the
// new one is dialled; without a target nobody is; and the next index can be added.
func TestSet(t *testing.T) {
	await.LeavesNothing(t)
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	got, gone := make(chan added, 256), make(chan added, 256)
	p := New([]Target{{Name: "a", Addr: a.Addr().String()}}, func(int, error) { t.Error("a dial has failed") })
	p.Start([]Taker{&taker{got: got, gone: gone}})
	t.Cleanup(p.Stop)
	await.Value(t, "connection", got)
	p.Ready(0, 0)
	p.Set(0, &Target{Name: "a", Addr: a.Addr().String()}) // nothing new
	p.Set(0, &Target{Name: "a", Addr: b.Addr().String()})
	await.Value(t, "the link to be retired", gone)
	if len(got) != 0 || len(gone) != 0 {
		t.Fatal("dialled before the old link was lost, or retired twice")
	}
	p.Lost(0, 0)
	await.Value(t, "connection to the new address", got)
	p.Set(0, nil)
	await.Value(t, "the link to be retired", gone)
	p.Lost(0, 0)
	p.Set(1, &Target{Name: "b", Addr: a.Addr().String()})
	if next := await.Value(t, "connection of the added one", got); next != (added{0, 1}) {
		t.Errorf("dialled %+v", next)
	}
	p.Set(0, &Target{Name: "a", Addr: a.Addr().String()})
	await.Value(t, "the link to be retired", gone) // there is none, which costs nothing
	if next := await.Value(t, "connection of the one that is back", got); next != (added{0, 0}) {
		t.Errorf("dialled %+v", next)
	}
}
