package node

import (
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/agent/ship"
	"sluice/internal/await"
	"sluice/internal/statusweb"
)

// small makes a world whose receiver takes frames of 4 KiB.
func small(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := newWorld(t, nil)
	w.sink.Kill()
	w.sink = w.analyzer(4 << 10)
	w.cfg.Addrs = []string{w.sink.Addr()}
	w.cfg.Once = true
	if change != nil {
		change(&w.cfg)
	}
	return w
}

// Packets that are too large for the receiver are made smaller, down to one
// record each, whatever a record carries besides its line.
func TestTooLarge(t *testing.T) {
	for name, c := range map[string]struct{ label, lines, bytes int }{
		"long lines":          {0, 100, 1000},
		"short lines":         {0, 400, 50},
		"nothing in lines":    {0, 2000, 0},
		"much that is beside": {3000, 100, 50},
	} {
		t.Run(name, func(t *testing.T) {
			w := small(t, func(cfg *Config) { cfg.Labels = []ship.Pair{{Key: "x", Value: strings.Repeat("l", c.label)}} })
			var want []string
			for i := range c.lines {
				line := strings.Repeat("x", c.bytes)
				if c.bytes > 0 {
					line = fmt.Sprintf("line %d %s", i, line)
				}
				want = append(want, line)
			}
			w.write("a.log", strings.Join(want, "\n")+"\n")
			w.start()
			<-w.node.Finished()
			w.expect(want...)
			if s := w.node.Stats(); s.RefusedPackets == 0 || s.Problems != 0 || s.Files[0].LagBytes != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A record that does not fit by itself is split, and its neighbours are whole.
func TestRecordTooLarge(t *testing.T) {
	w := small(t, nil)
	long := strings.Repeat("0123456789abcdef", 1250) // 20,000 bytes
	w.write("a.log", "before\n"+long+"\nafter\n")
	w.start()
	<-w.node.Finished()
	whole, split, pieces := []string{}, 0, map[string]int{}
	for _, m := range w.messages() {
		text, piece, isPiece := strings.Cut(m, " (")
		if !isPiece {
			whole = append(whole, m)
			continue
		}
		split += len(text)
		pieces[strings.TrimSuffix(piece, ")")]++
	}
	if fmt.Sprint(whole) != "[after before]" || split != len(long) || pieces["first"] != 1 || pieces["last"] != 1 || pieces["middle"] < 4 {
		t.Errorf("whole %q; %d bytes in %v", whole, split, pieces)
	}
	if s := w.node.Stats(); s.Problems != 0 || s.Files[0].LagBytes != 0 {
		t.Errorf("%+v", s)
	}
}

// Records of many lines stay whole as long as one fits, also while a file that
// is followed grows.
func TestTooLargeWithManyLines(t *testing.T) {
	w := small(t, func(c *Config) {
		c.Once, c.Multiline, c.Hold = false, regexp.MustCompile(`^\S`), 50*time.Millisecond
	})
	var want []string
	for i := range 60 {
		want = append(want, fmt.Sprintf("error %d", i)+strings.Repeat("\n at somewhere in the code", 20))
	}
	w.write("a.log", strings.Join(want, "\n")+"\n")
	w.start()
	w.expect(want...)
	want = append(want, "one more")
	w.write("a.log", "one more\n")
	w.expect(want...)
}

// What cannot be made small enough stays in its file, and that is told.
func TestNeverSmallEnough(t *testing.T) {
	w := small(t, func(c *Config) { c.Labels = []ship.Pair{{Key: "x", Value: strings.Repeat("l", 4090)}} })
	w.write("a.log", "one\n")
	w.start()
	<-w.node.Finished()
	if s := w.node.Stats(); s.Problems != 1 || s.Files[0].State != "refused" || s.Files[0].LagBytes != 4 || s.DeliveredRecords != 0 {
		t.Errorf("%+v", s)
	}
	if h := w.node.Health(); h.Status != statusweb.Unhealthy {
		t.Errorf("%+v", h)
	}
}

// The last line of a file that has no end yet is no lag: it is not due.
func TestUnfinishedLineIsNoLag(t *testing.T) {
	w := newWorld(t, nil)
	w.write("a.log", "one\ntw")
	w.start()
	w.expect("one")
	w.awaitFile(4, 0, 2)
	w.write("a.log", "o\n")
	w.expect("one", "two")
	w.awaitFile(8, 0, 0)
}

// A stream cannot go back: what is too large is lost, counted, and told once.
func TestStreamTooLarge(t *testing.T) {
	var log logged
	w := small(t, func(c *Config) {
		c.Once, c.Files, c.Listen, c.Linger = false, nil, []string{"tcp://127.0.0.1:0"}, 0
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	w.start()
	c, err := net.Dial("tcp", w.node.Bound()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	long := strings.Repeat("x", 5000) + "\n"
	for n := int64(1); n <= 3; n++ {
		if _, err := c.Write([]byte(long)); err != nil {
			t.Fatal(err)
		}
		await.True(t, "counted", func() bool { return w.node.Stats().Streams.Lost == n*int64(len(long)) })
	}
	if _, err := c.Write([]byte("short\n")); err != nil {
		t.Fatal(err)
	}
	w.expect("short")
	if n := strings.Count(log.String(), "is refused and lost"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
}

// logged is what a logger wrote. Safe for concurrent use.
type logged struct {
	mu  sync.Mutex
	out strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}
