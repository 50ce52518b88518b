package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	analyzer "sluice/analyzer/node"
	"sluice/internal/await"
)

// faultRun is a writer, an agent with a state and small packets, and what is
// known of them.
type faultRun struct {
	t       *testing.T
	dir     string
	web     string
	agent   *process
	writer  *writer
	writing chan error
}

// startFault follows a file that grows evenly for the given time.
func startFault(t *testing.T, addr string, length time.Duration) *faultRun {
	t.Helper()
	r := &faultRun{t: t, dir: t.TempDir(), web: freePort(t), writing: make(chan error, 1)}
	r.writer = &writer{storm: storm{lines: 20_000, length: length, rotateEvery: time.Hour}, path: filepath.Join(r.dir, "app.log")}
	r.agent = agentProcess(t, "--addr", addr, "--state", filepath.Join(r.dir, "state"), "--agent-id", "a", "--file", r.writer.path,
		"--http", r.web, "--batch-lines", "100", "--linger", "1ms", "--log-level", "debug")
	r.agent.start()
	await.True(t, "the agent answers", func() bool { return listening(r.web) })
	go func() { r.writing <- r.writer.run() }()
	return r
}

// acked waits until that many records more are delivered.
func (r *faultRun) acked(more uint64) nodeStats {
	r.t.Helper()
	from := getStats(r.t, r.web).DeliveredRecords
	var s nodeStats
	await.True(r.t, "records delivered", func() bool {
		s = getStats(r.t, r.web)
		return s.DeliveredRecords >= from+more
	})
	return s
}

// settle waits for the writer, and until the agent has delivered everything.
func (r *faultRun) settle() nodeStats {
	r.t.Helper()
	if err := <-r.writing; err != nil {
		r.t.Fatal(err)
	}
	st, err := os.Stat(r.writer.path)
	if err != nil {
		r.t.Fatal(err)
	}
	var s nodeStats
	await.True(r.t, "everything delivered", func() bool {
		s = getStats(r.t, r.web)
		return len(s.Files) == 1 && s.Files[0].Acked == st.Size() && s.UnsettledPackets == 0
	})
	return s
}

// check compares what arrived with what was written.
func (r *faultRun) check(outputs []string) delivery {
	r.t.Helper()
	d := delivered(r.t, outputs)
	want := r.writer.written.Load()
	if d.lines != want {
		r.t.Errorf("%d of %d lines arrived", d.lines, want)
	}
	if d.foreign > 0 {
		r.t.Errorf("%d lines arrived twice with different packet_ids", d.foreign)
	}
	if d.all < 1000 {
		r.t.Errorf("only %d packets: the run is invalid", d.all)
	}
	return d
}

// C7: the distributor is killed and started again. What had no answer is sent
// again, and nothing else.
func TestDistributorKilled(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.ndjson")
	a, err := analyzer.Start(analyzer.Config{Name: "a", Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Output: out})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Kill()
	server, addr, _ := serverProcess(t, a.Addr())
	server.start()
	await.True(t, "the distributor listens", func() bool { return listening(addr) })
	r := startFault(t, addr, 6*time.Second)
	for range 3 {
		r.acked(15_000)
		server.kill()
		begin := time.Now()
		server.start()
		r.acked(1)
		t.Logf("serving again after %v", time.Since(begin).Round(10*time.Millisecond))
	}
	s := r.settle()
	d := r.check([]string{out})
	t.Logf("%d packets delivered, %d sent again, %d lines arrived twice", s.DeliveredPackets, s.Resends, d.extra)
	if uint64(d.packets) > s.Resends {
		t.Errorf("%d packets arrived twice, only %d were without an answer", d.packets, s.Resends)
	}
	if s.Connects < 4 {
		t.Errorf("%d connections, so the kills did not happen", s.Connects)
	}
}

// C10: the agent is killed. The distributor settles what it has and keeps
// nothing; the next agent goes on, with the same ids for what had no answer.
func TestAgentKilled(t *testing.T) {
	// ACKs that take a while make the kills hit many packets, cut by size and by
	// time.
	sys := startSystem(t, 200*time.Millisecond)
	r := startFault(t, sys.addr(), 8*time.Second)
	for range 5 {
		r.acked(3000)
		// Packets of a backlog are cut by size alone; those that time cuts are
		// the harder ones.
		await.True(t, "the agent has caught up", func() bool {
			s := getStats(t, r.web)
			return len(s.Files) == 1 && s.Files[0].Size-s.Files[0].Read < 64<<10
		})
		time.Sleep(150 * time.Millisecond) // so that what has no answer was cut in several looks
		r.agent.kill()
		r.agent.start()
		await.True(t, "the agent answers", func() bool { return listening(r.web) })
	}
	r.settle()
	d := r.check(sys.outputs)
	t.Logf("%d lines arrived twice", d.extra)
	if d.extra == 0 {
		t.Error("nothing arrived twice: the kills hit nothing")
	}
	await.True(t, "the distributor has settled everything", func() bool {
		s := sys.distributor.Stats()
		return s.UnaccountedPackets == 0 && s.InFlightPackets == 0 && s.QueuedPackets == 0 && s.Sessions <= 1
	})
}

// wire is a TCP proxy that can hold everything back, as a cut cable does.
type wire struct {
	ln   net.Listener
	to   string
	mu   sync.Mutex
	free sync.Cond
	cut  bool
	ends []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{ln: ln, to: to}
	w.free.L = &w.mu
	go w.accept()
	t.Cleanup(func() { ln.Close(); w.set(false); w.drop() })
	return w
}

func (w *wire) accept() {
	for {
		in, err := w.ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", w.to)
		if err != nil {
			in.Close()
			continue
		}
		w.mu.Lock()
		w.ends = append(w.ends, in, out)
		w.mu.Unlock()
		go w.pump(in, out)
		go w.pump(out, in)
	}
}

func (w *wire) pump(from, to net.Conn) {
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		w.mu.Lock()
		for w.cut {
			w.free.Wait()
		}
		w.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if err != io.EOF {
				from.Close()
			}
			return
		}
	}
}

func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	w.free.Broadcast()
}

func (w *wire) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.ends {
		c.Close()
	}
	w.ends = nil
}

// C17: the agent is cut off with full windows. Nothing is lost, memory stays
// bounded, and the distributor is left with nothing.
func TestAgentCutOff(t *testing.T) {
	cut := 3 * time.Second
	if os.Getenv("SLUICE_LONG") != "" {
		cut = time.Minute
	}
	sys := startSystem(t, 0)
	w := newWire(t, sys.addr())
	r := startFault(t, w.ln.Addr().String(), cut+4*time.Second)
	r.acked(15_000)
	w.set(true)
	begin := time.Now()
	var s nodeStats
	await.True(t, "the window full", func() bool {
		s = getStats(t, r.web)
		return s.UnsettledPackets > 400 || s.Files[0].Read-s.Files[0].Acked > 3<<20
	})
	full := s.UnsettledPackets
	time.Sleep(time.Until(begin.Add(cut)))
	w.drop() // and the connections with it, so that all of it is sent again
	w.set(false)
	s = r.settle()
	d := r.check(sys.outputs)
	t.Logf("cut off for %v with %d packets without an answer; %d sent again, %d lines arrived twice", cut, full, s.Resends, d.extra)
	if s.Resends == 0 {
		t.Error("nothing was sent again: the cut did not happen")
	}
	await.True(t, "the distributor has settled everything", func() bool {
		s := sys.distributor.Stats()
		return s.UnaccountedPackets == 0 && s.InFlightPackets == 0 && s.QueuedPackets == 0 && s.Sessions <= 1
	})
}
