package node

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/internal/await"
)

// What was named and cannot be shipped is a problem, that of the named path, and
// one only as long as it is there.
func TestNamedAndNotReadable(t *testing.T) {
	w := newWorld(t, nil)
	if err := os.Mkdir(w.path("folder.log"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop.log", w.path("loop.log")); err != nil { // root cannot open it either
		t.Fatal(err)
	}
	for name, problems := range map[string]int64{"folder.log": 1, "fol*.log": 0, "loop.log": 1, "loop*": 1} {
		w.cfg.Files = []string{w.path(name)}
		w.start()
		await.True(t, "a scan", func() bool { n := w.node.tailer.Problems(); return n == problems })
		w.stop()
	}
	w.cfg.Files = []string{w.path("loop*")}
	w.start()
	await.True(t, "a problem", func() bool { return w.node.Health().Status == "unhealthy" })
	if err := os.Remove(w.path("loop.log")); err != nil {
		t.Fatal(err)
	}
	await.True(t, "no problem", func() bool { return w.node.Health().Status == "healthy" })
}

// A file that was taken out of the patterns is left where it was, although it was
// followed before; put back, it goes on from there.
func TestDeselected(t *testing.T) {
	w := newWorld(t, nil)
	w.write("a.log", "a1\n")
	w.write("b.log", "b1\n")
	w.start()
	w.expect("a1", "b1")
	w.stop()
	w.write("a.log", "a2\n")
	w.write("b.log", "b2\n")
	w.cfg.Exclude = []string{w.path("b.log")}
	w.start()
	w.expect("a1", "a2", "b1")
	if n := len(w.node.Stats().Files); n != 1 {
		t.Errorf("%d files are followed", n)
	}
	w.stop()
	w.cfg.Exclude = nil
	w.start()
	w.expect("a1", "a2", "b1", "b2")
}

// A pattern matches symbolic links; what they led to is rotated in its own
// folder while no agent runs.
func TestRotatedBehindALink(t *testing.T) {
	w := newWorld(t, nil)
	if err := os.Mkdir(w.path("pod"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.write("pod/0", "1\n")
	if err := os.Symlink(w.path("pod/0"), w.path("x.log")); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.expect("1")
	w.stop()
	w.write("pod/0", "2\n")
	w.rename("pod/0", "pod/0.old")
	w.write("pod/0", "3\n")
	w.start()
	w.expect("1", "2", "3")
}

// The agent ends before it is sure that a file is a copy.
func TestCopyAcrossARestart(t *testing.T) {
	w := newWorld(t, nil)
	w.write("a.log", long("x")+"\n")
	w.start()
	w.expect(long("x"))
	w.write("b.log", long("x")+"\n")
	await.True(t, "the copy seen", func() bool { return len(w.node.Stats().Files) == 2 })
	w.stop()
	w.cfg.Once = true // decides as soon as the original is read
	w.start()
	<-w.node.Finished()
	w.expect(long("x"))
}

// A file is written anew while the agent is behind, shorter, and begins with the
// same kilobyte.
func TestShrunkWithTheSameBeginning(t *testing.T) {
	w := newWorld(t, nil)
	banner := long("x") + "\n"
	w.write("a.log", banner+strings.Repeat("old\n", 100))
	w.start()
	await.True(t, "the old lines", func() bool { return len(w.messages()) == 101 })
	w.stop()
	w.write("a.log", strings.Repeat("more\n", 1000))
	w.cfg.RateLimit, w.cfg.MaxLines = 1, 100 // one packet, and then none for a long time
	w.start()
	await.True(t, "the size seen", func() bool {
		s := w.node.Stats().Files
		return len(s) == 1 && s[0].Size > 6000 && s[0].Acked > 2000
	})
	w.stop()
	if err := os.WriteFile(w.path("b"), []byte(banner+strings.Repeat("new\n", 1200)), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.ReadFile(w.path("b"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.path("a.log"), in, 0o600); err != nil {
		t.Fatal(err)
	}
	w.cfg.RateLimit = 0 // it is shorter than it was, and longer than what was delivered
	w.start()
	await.True(t, "all new lines", func() bool {
		n := 0
		for _, m := range w.messages() {
			if m == "new" {
				n++
			}
		}
		return n == 1200
	})
}

// Lines that keep coming must not put off those that wait.
func TestStreamThatNeverPauses(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Files, c.Listen, c.Linger = nil, []string{"tcp://127.0.0.1:0"}, 500*time.Millisecond
	})
	w.start()
	c, err := net.Dial("tcp", w.node.Bound()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	end := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			case <-time.After(10 * time.Millisecond):
				fmt.Fprintf(c, "%d\n", i)
			}
		}
	}()
	await.True(t, "lines delivered while more come", func() bool { return w.node.Stats().DeliveredRecords > 0 })
	close(end)
	<-ended
}

// stubborn is a standard input whose read does not end when it is closed, as
// that of a pipe.
type stubborn struct {
	io.Reader
	hang chan struct{}
}

func (s *stubborn) Read(b []byte) (int, error) {
	if n, err := s.Reader.Read(b); err == nil {
		return n, nil
	}
	<-s.hang
	return 0, io.EOF
}

func (s *stubborn) Close() error { return nil }

func TestStopWithIdleStdin(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Files, c.Stdin, c.State = nil, true, "" })
	in := &stubborn{strings.NewReader("whole\nhalf"), make(chan struct{})}
	defer close(in.hang)
	n, err := Start(w.cfg, in)
	if err != nil {
		t.Fatal(err)
	}
	await.True(t, "the line delivered", func() bool { return n.Stats().DeliveredRecords == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	if err := n.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
	w.expect("half", "whole")
}

func TestRelativePatternAbsoluteExclude(t *testing.T) {
	w := newWorld(t, nil)
	t.Chdir(w.dir)
	w.cfg.Files, w.cfg.Exclude = []string{"*.log"}, []string{filepath.Join(w.dir, "b.log")}
	w.write("a.log", "a\n")
	w.write("b.log", "b\n")
	w.start()
	w.expect("a")
	if n := len(w.node.Stats().Files); n != 1 {
		t.Errorf("%d files are followed", n)
	}
}
