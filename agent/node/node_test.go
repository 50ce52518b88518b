package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/internal/await"
	"sluice/internal/exposition/expositiontest"
	"sluice/protocol"
)

func TestFollow(t *testing.T) {
	await.LeavesNothing(t) // here only: the analyzer's HTTP server takes ten seconds to end
	w := newWorld(t, nil)
	w.write("a.log", "a1\na2\npart")
	w.start()
	w.expect("a1", "a2")
	w.write("b.log", "b1\n") // appears later
	w.write("a.log", "ial\n")
	w.node.Rescan()
	w.expect("a1", "a2", "partial", "b1")
	w.rename("a.log", "rotated") // matches no more, and is written to all the same
	w.write("rotated", "a3\n")
	w.write("a.log", "new\n")
	w.node.Rescan()
	w.expect("a1", "a2", "partial", "b1", "a3", "new")
	if err := os.Remove(w.path("a.log")); err != nil {
		t.Fatal(err)
	}
	w.write("a.log", "newer\n") // perhaps with the inode of the one that is gone
	w.node.Rescan()
	w.expect("a1", "a2", "partial", "b1", "a3", "new", "newer")
}

// A file that was truncated and grew beyond where it was read, between two looks,
// is told by its beginning.
func TestTruncatedAndGrown(t *testing.T) {
	w := newWorld(t, nil)
	w.write("a.log", "old\n")
	w.start()
	want := []string{"old"}
	w.expect(want...)
	for i := range 5 {
		var lines []string
		for j := range 100 * (i + 1) {
			lines = append(lines, fmt.Sprintf("life %d line %d", i, j))
		}
		if err := os.WriteFile(w.path("a.log"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		want = append(want, lines...)
		w.expect(want...)
	}
	await.True(t, "all acknowledged", func() bool { s := w.node.Stats(); return len(s.Files) == 1 && s.Files[0].LagBytes == 0 })
}

// What was left while no agent ran is found by identity, whatever it is called.
func TestRestart(t *testing.T) {
	w := newWorld(t, nil)
	w.write("a.log", "a1\n")
	w.write("b.log", "b1\n")
	w.write("c.log", "c1\n")
	w.start()
	w.expect("a1", "b1", "c1")
	w.stop()
	w.write("a.log", "a2\n")
	w.rename("a.log", "gone-from-the-pattern")
	w.rename("b.log", "b2.log") // still matches
	w.write("b2.log", "b2\n")
	w.write("a.log", "other file\n")
	if err := os.Truncate(w.path("c.log"), 0); err != nil {
		t.Fatal(err)
	}
	w.write("c.log", "C after\n")
	w.start()
	w.expect("a1", "b1", "c1", "a2", "b2", "other file", "C after")
	for _, f := range w.node.Stats().Files {
		if strings.HasSuffix(f.Path, "gone-from-the-pattern") && f.State != "rotated" {
			t.Errorf("%+v", f)
		}
	}
}

func long(c string) string { return strings.Repeat(c, 1500) }

// A copy is not shipped twice, and what the original lost is read from it; a
// file that only begins alike is another file.
func TestCopies(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Files[0] += "*" })
	w.write("a.log", long("x")+"\na1\n")
	w.start()
	w.expect(long("x"), "a1")
	w.stop()
	w.write("a.log", "a2\n") // not seen before the truncation
	text, err := os.ReadFile(w.path("a.log"))
	if err != nil {
		t.Fatal(err)
	}
	w.write("a.log.1", string(text))
	if err := os.Truncate(w.path("a.log"), 0); err != nil {
		t.Fatal(err)
	}
	w.write("a.log", "fresh\n")
	w.start()
	w.expect(long("x"), "a1", "a2", "fresh")
	if l := w.node.Stats().Losses; l.Recovered != 3 {
		t.Errorf("%+v", l)
	}
	w.stop()
	w.write("twin.log", long("x")+"\nt1\n") // begins as the copy does
	w.cfg.Once = true
	w.start()
	w.expect(long("x"), "a1", "a2", "fresh", long("x"), "t1")
	<-w.node.Finished()
}

// Links and patterns that meet at one file ship it once; excluded and packed
// files are left out.
func TestOneFileByManyNames(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Files = append(c.Files, filepath.Join(filepath.Dir(c.Files[0]), "a*"))
		c.Exclude = []string{"secret*"}
	})
	w.write("a.log", "a1\n")
	w.write("a.gz", "packed\n")
	w.write("secret.log", "secret\n")
	for _, name := range []string{"link.log", "a-hard"} {
		link := os.Link
		if name == "link.log" {
			link = os.Symlink
		}
		if err := link(w.path("a.log"), w.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	w.cfg.Once = true
	w.start()
	<-w.node.Finished()
	w.expect("a1")
}

func TestStartAtEnd(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.FromEnd = true })
	w.write("a.log", "old\nhal")
	w.start()
	await.True(t, "the file is followed", func() bool { return len(w.node.Stats().Files) == 1 })
	w.write("a.log", "f\nnew\n")
	w.write("later.log", "from the beginning\n")
	w.expect("f (last)", "new", "from the beginning")
	w.stop()
	w.write("even-later.log", "after a restart\n")
	w.start()
	w.expect("f (last)", "new", "from the beginning", "after a restart")
}

func TestRecordsOfManyLines(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Multiline = regexp.MustCompile(`^\S`)
		c.Hold = 50 * time.Millisecond
		c.MaxLine = 256
	})
	w.write("a.log", "one\n at x\n at y\ntwo\n")
	w.start()
	w.expect("one\n at x\n at y", "two")
	w.write("a.log", strings.Repeat("é", 200)+"\n")
	w.expect("one\n at x\n at y", "two", strings.Repeat("é", 128)+" (first)", strings.Repeat("é", 72)+" (last)")
}

func TestCompressionAndConnectionAge(t *testing.T) {
	for _, kind := range []protocol.Compression{protocol.Zstd, protocol.S2, protocol.Gzip} {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, func(c *Config) {
				c.Compression = kind
				c.MaxAge = time.Millisecond
				c.Addrs = append(c.Addrs, c.Addrs[0])
			})
			w.start()
			var want []string
			for i := range 5 {
				line := fmt.Sprint("line ", i, long("z"))
				want = append(want, line)
				w.write("a.log", line+"\n")
				w.expect(want...)
			}
			if s := w.node.Stats(); s.Connects < 2 || s.SentBytes > 5*1000 {
				t.Errorf("%d connections, %d bytes sent", s.Connects, s.SentBytes)
			}
		})
	}
}

func TestRateLimit(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.RateLimit, c.Batch, c.MaxLine, c.Once = 1<<20, 4<<10, 1<<10, true })
	w.write("a.log", strings.Repeat(strings.Repeat("x", 99)+"\n", 3000))
	begin := time.Now()
	w.start()
	<-w.node.Finished()
	if took := time.Since(begin); took < 200*time.Millisecond {
		t.Errorf("300 kB at 1 MiB/s took %v", took)
	}
}

func TestStreams(t *testing.T) {
	w := newWorld(t, nil)
	socket := w.path("in.sock")
	w.cfg.Files, w.cfg.Listen = nil, []string{"tcp://127.0.0.1:0", "unix://" + socket}
	w.start()
	var conns []net.Conn
	for _, a := range w.node.Bound() {
		c, err := net.Dial(a.Network(), a.String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		fmt.Fprintf(c, "%s one\r\n%s tw", a.Network(), a.Network())
	}
	w.expect("tcp one", "unix one")
	for _, c := range conns {
		io.WriteString(c, "o\nend")
		c.Close()
	}
	w.expect("tcp one", "unix one", "tcp two", "unix two", "end", "end")
	await.True(t, "all acknowledged", func() bool { s := w.node.Stats().Streams; return s.Delivered == s.Read && s.Open == 0 })
}

func TestStdin(t *testing.T) {
	w := newWorld(t, nil)
	w.cfg.Files, w.cfg.Stdin = nil, true
	var want []string
	for i := range 5000 {
		want = append(want, fmt.Sprint("line ", i))
	}
	var err error
	if w.node, err = Start(w.cfg, io.NopCloser(strings.NewReader(strings.Join(want, "\n")))); err != nil {
		t.Fatal(err)
	}
	<-w.node.Finished()
	w.expect(want...)
}

func TestStatsAndHealth(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.HTTP = "127.0.0.1:0" })
	w.write("a.log", "a1\na2")
	w.start()
	w.expect("a1")
	get := func(path string, into any) int {
		r, err := http.Get("http://" + w.node.HTTPAddr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if err := json.NewDecoder(r.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
		return r.StatusCode
	}
	defer http.DefaultClient.CloseIdleConnections()
	var s Stats
	await.True(t, "the offset moved", func() bool { get("/stats", &s); return s.Files[0].Acked == 3 })
	w.awaitFile(3, 0, 2)
	get("/stats", &s)
	if f := s.Files[0]; f.Size != 5 || s.DeliveredRecords != 1 {
		t.Errorf("%+v", s)
	}
	var h Health
	if code := get("/health", &h); code != 200 || h.Status != "healthy" {
		t.Errorf("%d %+v", code, h)
	}
	m, _ := expositiontest.Get(t, "http://"+w.node.HTTPAddr())
	for metric, want := range map[string]float64{
		"sluice_agent_delivered_records_total": 1, "sluice_agent_delivered_packets_total": 1, "sluice_agent_delivered_bytes_total": 3,
		"sluice_agent_lag_bytes": 0, "sluice_agent_lag_seconds": 0, "sluice_agent_unfinished_bytes": 2, "sluice_agent_healthy": 1, "sluice_agent_connected": 1, "sluice_agent_state_writable": 1,
	} {
		if got := m.Value(t, metric); got != want {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
	if following, rotated := m.Value(t, "sluice_agent_files", "state", "following"), m.Value(t, "sluice_agent_files", "state", "rotated"); following != 1 || rotated != 0 {
		t.Errorf("%v files followed, %v rotated", following, rotated)
	}
	for _, name := range catalog.Names() {
		if m[name] == nil {
			t.Errorf("%s is declared and never said", name)
		}
	}
	w.sink.Kill()
	w.write("a.log", "\n")
	await.True(t, "no distributor", func() bool { return get("/health", &h) == 503 })
	if m, _ := expositiontest.Get(t, "http://"+w.node.HTTPAddr()); m.Value(t, "sluice_agent_healthy") != 0 || m.Value(t, "sluice_agent_connected") != 0 {
		t.Error("healthy or connected without a distributor")
	}
	if f := w.node.Stats().Files[0]; f.LagBytes != 3 || f.LagSeconds <= 0 || f.Unfinished != 0 {
		t.Errorf("%+v", f)
	}
	w.sink = w.analyzer(0)
	w.node.Stop(canceled())
	w.node = nil
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestStateOfAnother(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Log = slog.New(slog.DiscardHandler) })
	w.start()
	if n, err := Start(w.cfg, nil); err == nil {
		n.Stop(canceled())
		t.Error("two agents share a state")
	}
}
