package main

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	analyzer "sluice/analyzer/node"
	"sluice/internal/await"
)

// storm is how long and how hard a follow test is. The long form runs
// with SLUICE_LONG=1.
type storm struct {
	lines                  int // per second
	length                 time.Duration
	rotateEvery, killEvery time.Duration
}

func stormOf(t *testing.T) storm {
	if os.Getenv("SLUICE_LONG") != "" {
		return storm{50_000, 2 * time.Minute, 5 * time.Second, 7 * time.Second}
	}
	if testing.Short() {
		t.Skip("SKIPPED: takes 20 s")
	}
	return storm{20_000, 12 * time.Second, 1500 * time.Millisecond, 1100 * time.Millisecond}
}

// writer appends numbered lines and rotates.
type writer struct {
	storm
	path    string
	written atomic.Int64 // lines
	rotate  func(f *os.File, n int) (*os.File, error)
}

func (w *writer) open() (*os.File, error) {
	return os.OpenFile(w.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
}

// run writes at an even rate until the time is over.
func (w *writer) run() error {
	f, err := w.open()
	if err != nil {
		return err
	}
	defer func() { f.Close() }()
	begin := time.Now()
	rotations := 0
	var buf []byte
	for n := int64(0); ; {
		elapsed := time.Since(begin)
		if elapsed >= w.length {
			return nil
		}
		if int(elapsed/w.rotateEvery) > rotations {
			rotations++
			if f, err = w.rotate(f, rotations); err != nil {
				return err
			}
		}
		buf = buf[:0]
		for due := int64(elapsed.Seconds() * float64(w.lines)); n < due; n++ {
			buf = append(buf, "2026-01-02 10:11:12,345 INFO [main] org.example.Writer: line number "...)
			buf = append(strconv.AppendInt(buf, n, 10), '\n')
		}
		if _, err := f.Write(buf); err != nil {
			return err
		}
		w.written.Store(n)
		time.Sleep(2 * time.Millisecond)
	}
}

func number(t *testing.T, message string) int64 {
	t.Helper()
	_, digits, _ := strings.Cut(message, "line number ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		t.Fatalf("message %q", message)
	}
	return n
}

// delivery is what the outputs tell of numbered lines.
type delivery struct {
	seen    []uint64 // by line: a hash of the first packet_id it came with, 0: it did not
	lines   int64    // different ones
	extra   int      // deliveries beyond the first
	all     int      // packets that arrived
	packets int      // of those, that had arrived before
	foreign int      // of those, with a packet_id that the first did not have
}

// delivered reads the outputs without decoding their JSON: there are millions of
// lines in the long form.
func delivered(t *testing.T, outputs []string) delivery {
	t.Helper()
	d := delivery{}
	for _, path := range outputs {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewScanner(f)
		for in.Scan() {
			_, id, _ := bytes.Cut(in.Bytes(), []byte(`"packet_id":"`))
			id, _, _ = bytes.Cut(id, []byte(`"`))
			_, digits, _ := bytes.Cut(in.Bytes(), []byte("line number "))
			digits, rest, ok := bytes.Cut(digits, []byte(`"`))
			if !ok || !bytes.HasSuffix(rest, []byte("}")) {
				continue // it is being written
			}
			n := number(t, "line number "+string(digits))
			extra := d.extra
			d.add(n, maphash.Bytes(idSeed, id)|1)
			if firstOfPacket(in.Bytes(), id) {
				d.all++
				d.packets += d.extra - extra
			}
		}
		f.Close()
	}
	return d
}

// firstOfPacket says whether a line's offset is where its packet begins.
func firstOfPacket(line, id []byte) bool {
	_, offset, _ := bytes.Cut(line, []byte(`"offset":`))
	start, _, _ := bytes.Cut(id[bytes.LastIndexByte(id, '/')+1:], []byte("-"))
	return bytes.HasPrefix(offset, append(start, ','))
}

var idSeed = maphash.MakeSeed()

func (d *delivery) add(n int64, id uint64) {
	for int64(len(d.seen)) <= n {
		d.seen = append(d.seen, 0)
	}
	switch d.seen[n] {
	case 0:
		d.seen[n] = id
		d.lines++
	case id:
		d.extra++
	default:
		d.extra++
		d.foreign++
	}
}

// Agent and distributor are killed in turn while a file is written and rotated
// by renaming it to a name that no pattern matches: every line arrives, and what
// arrives twice has the same packet_id both times.
func TestKillsAndRotationLoseNothing(t *testing.T) {
	st := stormOf(t)
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
	w := &writer{storm: st, path: filepath.Join(dir, "app.log")}
	w.rotate = func(f *os.File, n int) (*os.File, error) {
		if err := os.Rename(w.path, fmt.Sprintf("%s/old-%d", dir, n)); err != nil {
			return nil, err
		}
		f.Close()
		return w.open()
	}
	agent := agentProcess(t, "--addr", addr, "--state", filepath.Join(dir, "state"), "--agent-id", "a", "--file", w.path, "--log-level", "debug")
	agent.start()
	writing := make(chan error, 1)
	go func() { writing <- w.run() }()
	kills := 0
	for tick := time.NewTicker(st.killEvery); ; {
		select {
		case err := <-writing:
			tick.Stop()
			if err != nil {
				t.Fatal(err)
			}
		case <-tick.C:
			p := []*process{agent, server}[kills%2]
			p.kill()
			p.start()
			kills++
			continue
		}
		break
	}
	want := w.written.Load()
	size := int64(0)
	await.True(t, "all lines delivered", func() bool {
		st, err := os.Stat(out)
		if err != nil || st.Size() != size {
			size = st.Size()
			time.Sleep(300 * time.Millisecond) // reading all of it again is expensive
			return false
		}
		return delivered(t, []string{out}).lines == want
	})
	d := delivered(t, []string{out})
	t.Logf("%d lines, %d kills, %d delivered twice, %d of them in another packet", want, kills, d.extra, d.foreign)
	if d.foreign > 0 {
		t.Errorf("%d lines were sent again with another packet_id", d.foreign)
	}
	if kills < 6 {
		t.Errorf("only %d kills", kills)
	}
}

// copytruncate while the agent follows: what is missing was truncated unread,
// and counted; where the copies match the pattern, nothing is missing.
func TestCopyTruncate(t *testing.T) {
	st := stormOf(t)
	for _, copies := range []bool{false, true} {
		t.Run(fmt.Sprint("copies match ", copies), func(t *testing.T) {
			s := startSystem(t, 0)
			dir := t.TempDir()
			w := &writer{storm: st, path: filepath.Join(dir, "app.log")}
			w.length = min(w.length/2, 20*time.Second)
			truncatedLines := map[int64]bool{} // that were in the file when it was truncated
			w.rotate = func(f *os.File, n int) (*os.File, error) {
				text, err := os.ReadFile(w.path)
				if err != nil {
					return nil, err
				}
				if err := os.WriteFile(fmt.Sprintf("%s.%d", w.path, n), text, 0o600); err != nil {
					return nil, err
				}
				for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
					truncatedLines[number(t, line)] = true
				}
				return f, f.Truncate(0)
			}
			pattern := w.path
			if copies {
				pattern += "*"
			}
			web := freePort(t)
			agent := agentProcess(t, "--addr", s.addr(), "--agent-id", "a", "--file", pattern, "--http", web, "--log-level", "debug")
			agent.start()
			await.True(t, "the agent answers", func() bool { return listening(web) })
			if err := w.run(); err != nil {
				t.Fatal(err)
			}
			want := w.written.Load()
			var stats nodeStats
			// Files are read in order, so the last line comes last; the lag alone is
			// of the agent's last look, which may have been before it was written.
			await.True(t, "the last line, unless it was truncated", func() bool {
				if truncatedLines[want-1] {
					return true
				}
				d := delivered(t, s.outputs)
				return want <= int64(len(d.seen)) && d.seen[want-1] > 0
			})
			await.True(t, "nothing is left to read", func() bool {
				stats = getStats(t, web)
				lag := int64(0)
				for _, f := range stats.Files {
					lag += f.LagBytes
				}
				return lag == 0 && stats.UnsettledPackets == 0
			})
			d := delivered(t, s.outputs)
			missing := 0
			for n := range want {
				if n >= int64(len(d.seen)) || d.seen[n] == 0 {
					missing++
					if !truncatedLines[n] {
						t.Fatalf("line %d is missing, and was never truncated", n)
					}
				}
			}
			t.Logf("%d lines, %d missing, %d twice; truncated unread %d bytes, recovered %d", want, missing, d.extra, stats.TruncatedUnread, stats.Recovered)
			if missing > 0 && (copies || stats.TruncatedUnread == 0) {
				t.Errorf("%d lines are missing, and the agent counted %d bytes", missing, stats.TruncatedUnread)
			}
			if d.extra > 0 {
				t.Errorf("%d lines were shipped twice", d.extra)
			}
		})
	}
}
