package output

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/internal/await"
)

// file takes what is written to it as long as its reader lets it.
type file struct {
	mu    sync.Mutex
	cond  *sync.Cond
	stall bool
	took  int   // bytes of the next write that are taken before fail
	fail  error // of every write
	text  bytes.Buffer
	most  int // bytes of one write
}

func newFile() *file {
	f := &file{}
	f.cond = sync.NewCond(&f.mu)
	return f
}

func (f *file) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.stall {
		f.cond.Wait()
	}
	if f.fail != nil {
		n := min(f.took, len(p))
		f.took -= n
		f.text.Write(p[:n])
		return n, f.fail
	}
	f.most = max(f.most, len(p))
	return f.text.Write(p)
}

func (f *file) set(stall bool, took int, fail error) {
	f.mu.Lock()
	f.stall, f.took, f.fail = stall, took, fail
	f.mu.Unlock()
	f.cond.Broadcast()
}

func (f *file) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.String()
}

func text(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
}

const missed = "level=WARN msg=\"log lines were dropped: nobody took them\" lines="

// A reader that stops costs the lines that do not fit into the queue, nothing
// else; when it goes on it reads the first ones, whole and in order, and how
// many are missing.
func TestAStalledReaderStopsNothing(t *testing.T) {
	f := newFile()
	f.set(true, 0, nil)
	q := newQueue(f, 1000)
	defer q.Close(time.Minute)
	log := slog.New(NewHandler(q, text))
	const all = 200
	log.Info("line", "n", 0)
	await.True(t, "the first line meets the stalled reader", func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.busy
	})
	for i := 1; i < all; i++ {
		log.Info("line", "n", i)
	}
	if q.Flush(time.Millisecond) {
		t.Error("all is written, they say")
	}
	dropped := DroppedLines(log.With("a", 1).WithGroup("g"))
	if dropped == 0 || dropped >= all {
		t.Fatalf("%d of %d lines dropped", dropped, all)
	}
	f.set(false, 0, nil)
	if !q.Flush(time.Minute) {
		t.Fatal("not written")
	}
	lines := strings.Split(strings.TrimSpace(f.String()), "\n")
	var want []string
	for i := range all - int(dropped) {
		want = append(want, "level=INFO msg=line n="+itoa(i))
	}
	want = append(want, missed+itoa(int(dropped)))
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("read %d lines, want %d:\n%s", len(lines), len(want), f.String())
	}
}

func itoa(i int) string { return slog.IntValue(i).String() }

// Lines are written several at once, but never so many that a pipe could mix
// them with those of another process.
func TestWritesStayAtomic(t *testing.T) {
	f := newFile()
	f.set(true, 0, nil)
	q := newQueue(f, maxQueued)
	defer q.Close(time.Minute)
	long := strings.Repeat("x", atomicBytes/3) + "\n"
	for range 10 {
		io.WriteString(q, long)
	}
	f.set(false, 0, nil)
	q.Flush(time.Minute)
	if f.String() != strings.Repeat(long, 10) || f.most > atomicBytes {
		t.Errorf("%d bytes were read, %d of one write", len(f.String()), f.most)
	}
}

// A full disk: lines are dropped, one may be torn; with room again the next line
// is whole and says what is missing.
func TestAFullDisk(t *testing.T) {
	f := newFile()
	f.set(false, 5, syscall.ENOSPC)
	q := NewQueue(f)
	defer q.Close(time.Minute)
	log := slog.New(NewHandler(q, text))
	log.Info("one")
	q.Flush(time.Minute)
	log.Info("two")
	q.Flush(time.Minute)
	f.set(false, 0, nil)
	log.Info("three")
	q.Flush(time.Minute)
	if want := "level\nlevel=INFO msg=three\n" + missed + "2\n"; f.String() != want || q.Dropped() != 2 {
		t.Errorf("%d dropped, read\n%s", q.Dropped(), f.String())
	}
}

// A file that somebody else made non-blocking is waited for.
func TestANonBlockingFile(t *testing.T) {
	f := newFile()
	f.set(false, 3, syscall.EAGAIN)
	q := NewQueue(f)
	defer q.Close(time.Minute)
	io.WriteString(q, "a line\n")
	await.True(t, "a part is taken", func() bool { return f.String() == "a l" })
	f.set(false, 0, nil)
	if !q.Flush(time.Minute) || f.String() != "a line\n" || q.Dropped() != 0 {
		t.Errorf("read %q, %d dropped", f.String(), q.Dropped())
	}
}

// What a progress bar draws is dropped without being missed.
func TestTransientIsNotMissed(t *testing.T) {
	f := newFile()
	f.set(true, 0, nil)
	q := newQueue(f, 100)
	defer q.Close(time.Minute)
	for range 1000 {
		if n, err := io.WriteString(Transient(q), "\r50 %"); n != 5 || err != nil {
			t.Fatal(n, err)
		}
	}
	if q.Dropped() != 0 || q.Flush(0) {
		t.Errorf("%d dropped", q.Dropped())
	}
	f.set(false, 0, nil)
	q.Flush(time.Minute)
	if n := len(f.String()); n == 0 || n > 200 {
		t.Errorf("%d bytes are drawn", n)
	}
}

// /dev/full is a disk without room that every Linux has.
func TestTheRealFullDevice(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here: ", err)
	}
	defer full.Close()
	q := NewQueue(full)
	defer q.Close(time.Minute)
	io.WriteString(q, "a line\n")
	if !q.Flush(time.Minute) || q.Dropped() != 1 {
		t.Errorf("%d dropped", q.Dropped())
	}
}

// A FIFO whose reader goes fails, and flows again with the next reader.
func TestAReaderThatComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no FIFO here: ", err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	q := NewQueue(w)
	defer q.Close(time.Minute)
	log := slog.New(NewHandler(q, text))
	reader.Close()
	log.Info("nobody reads")
	if q.Flush(time.Minute); q.Dropped() != 1 {
		t.Fatalf("%d dropped", q.Dropped())
	}
	if reader, err = os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	log.Info("somebody does")
	q.Flush(time.Minute)
	got := make([]byte, 1000)
	n, err := reader.Read(got)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if want := "level=INFO msg=\"somebody does\"\n" + missed + "1\n"; string(got[:n]) != want {
		t.Errorf("read %q", got[:n])
	}
}

// None is lost or repeated between goroutines while the reader stops and goes.
func TestEveryLineIsWrittenOrCounted(t *testing.T) {
	f := newFile()
	q := newQueue(f, 2000)
	defer q.Close(time.Minute)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for i := range 2000 {
				io.WriteString(q, "line\n")
				if i%100 == 0 {
					f.set(i%200 == 0, 0, nil)
				}
			}
		})
	}
	writers.Wait()
	f.set(false, 0, nil)
	q.Flush(time.Minute)
	if got := strings.Count(f.String(), "line\n") + int(q.Dropped()); got != 16000 {
		t.Errorf("%d of 16000 lines are written or counted", got)
	}
}
