// Package output writes to standard output and standard error without ever
// waiting for whoever reads them. Their reader may be gone, stopped or slow, a
// terminal may be stopped with ^S, a disk may be full: none of that is a reason
// for a program that moves packets to stand still, or to end.
//
// A Queue stands between the program and the file. Writes go to a bounded
// queue, which one goroutine writes out; what finds it full is dropped and
// counted. Handlers of logs that write to a Queue are made with [NewHandler].
package output

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/term"
)

const (
	// maxQueued is how many bytes wait at most: some thousand lines, which is
	// minutes of a log in trouble.
	maxQueued = 1 << 20

	// atomicBytes is what one write takes at most, unless a single line is
	// longer. Up to PIPE_BUF a pipe keeps writes of several processes apart.
	atomicBytes = 4096

	// retryEvery is how long a file that cannot take anything at the moment is
	// left alone. Only a file that somebody else made non-blocking says so.
	retryEvery = 20 * time.Millisecond

	// FlushLimit is how long a program that ends waits for what it has written
	// to its log.
	FlushLimit = time.Second

	// ProductLimit is the same for what it was run to print.
	ProductLimit = 5 * time.Second
)

// Queue is a writer that never blocks and never fails. Each Write is a line, or
// another unit that is written whole or dropped whole.
//
// Safe for concurrent use.
type Queue struct {
	to      io.Writer
	limit   int
	dropped atomic.Uint64

	mu      sync.Mutex
	queued  []byte
	ends    []end // of the units in queued
	busy    bool  // the writer is writing
	report  func(io.Writer, uint64)
	told    uint64        // how many of dropped the reader knows of
	wake    chan struct{} // one slot
	quit    chan struct{} // closed by Close
	once    sync.Once
	drained *sync.Cond
}

// end is where a unit ends in the queue. Immutable.
type end struct {
	at      int
	counted bool // it is missed if it is dropped
}

// NewQueue starts the writing to a file, or to what stands for one in a test.
// The caller must call Close.
func NewQueue(to io.Writer) *Queue { return newQueue(to, maxQueued) }

func newQueue(to io.Writer, limit int) *Queue {
	q := &Queue{to: to, limit: limit, wake: make(chan struct{}, 1), quit: make(chan struct{})}
	q.drained = sync.NewCond(&q.mu)
	go q.run()
	return q
}

// Write queues a copy of p. It returns no error: what is dropped is counted.
func (q *Queue) Write(p []byte) (int, error) { return q.put(p, true) }

// Transient returns a writer for what the next write makes obsolete, such as a
// progress bar: dropped, it is not missed, and not counted.
func (q *Queue) Transient() io.Writer { return transient{q} }

type transient struct{ q *Queue }

func (t transient) Write(p []byte) (int, error) { return t.q.put(p, false) }

func (q *Queue) put(p []byte, counted bool) (int, error) {
	q.mu.Lock()
	full := len(q.queued)+len(p) > q.limit
	if !full {
		q.queued = append(q.queued, p...)
		q.ends = append(q.ends, end{len(q.queued), counted})
	}
	q.mu.Unlock()
	if full {
		if counted {
			q.dropped.Add(1)
		}
		return len(p), nil
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return len(p), nil
}

// Dropped is how many writes were dropped, or failed, since the start.
func (q *Queue) Dropped() uint64 { return q.dropped.Load() }

// onResume has the file told of dropped lines once it takes some again.
func (q *Queue) onResume(report func(to io.Writer, dropped uint64)) {
	q.mu.Lock()
	q.report = report
	q.mu.Unlock()
}

// Flush waits until all is written or dropped, at most for the limit; it says
// whether it is.
func (q *Queue) Flush(limit time.Duration) bool {
	over := false
	timer := time.AfterFunc(limit, func() {
		q.mu.Lock()
		over = true
		q.mu.Unlock()
		q.drained.Broadcast()
	})
	defer timer.Stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	for (q.busy || len(q.queued) > 0) && !over {
		q.drained.Wait()
	}
	return !q.busy && len(q.queued) == 0
}

// Close is Flush, and ends the writing: for the end of the program. What is
// written later is lost. It says whether all is written or dropped.
func (q *Queue) Close(limit time.Duration) bool {
	done := q.Flush(limit)
	q.once.Do(func() { close(q.quit) })
	return done
}

// IsTerminal says whether w is a terminal, or a Queue that writes to one.
func IsTerminal(w io.Writer) bool {
	if q, ok := w.(*Queue); ok {
		w = q.to
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Transient is w, or its [Queue.Transient] if it is a Queue.
func Transient(w io.Writer) io.Writer {
	if q, ok := w.(*Queue); ok {
		return q.Transient()
	}
	return w
}

func (q *Queue) run() {
	var spare []byte
	var spareEnds []end
	torn := false // the last unit was written in part
	for {
		select {
		case <-q.wake:
		case <-q.quit:
			return
		}
		q.mu.Lock()
		all, ends := q.queued, q.ends
		q.queued, q.ends = spare[:0], spareEnds[:0]
		q.busy = true
		q.mu.Unlock()
		wrote := q.writeOut(all, ends, &torn)
		spare, spareEnds = all, ends
		q.mu.Lock()
		report, missed := q.report, q.dropped.Load()-q.told
		if !wrote || missed == 0 || len(q.queued) > 0 { // what is queued went before what was dropped
			report = nil
		}
		if report != nil {
			q.told += missed
		}
		q.mu.Unlock()
		if report != nil {
			report(patient{q}, missed)
		}
		q.mu.Lock()
		q.busy = false
		q.mu.Unlock()
		q.drained.Broadcast()
	}
}

// writeOut writes units, several with one write where they are short. It says
// whether the last write succeeded.
func (q *Queue) writeOut(all []byte, ends []end, torn *bool) (wrote bool) {
	begin := 0
	for i := 0; i < len(ends); {
		last := i
		for last+1 < len(ends) && ends[last+1].at-begin <= atomicBytes {
			last++
		}
		if *torn { // what follows a torn line begins a line of its own
			if n, err := q.tryWrite([]byte{'\n'}); n == 1 && err == nil {
				*torn = false
			}
		}
		n, err := q.tryWrite(all[begin:ends[last].at])
		wrote = err == nil
		if err != nil {
			for _, e := range ends[i : last+1] {
				if e.at > begin+n && e.counted {
					q.dropped.Add(1)
				}
			}
			*torn = *torn || n > 0 && all[begin+n-1] != '\n'
		}
		begin, i = ends[last].at, last+1
	}
	return wrote
}

// patient writes to the file of a Queue, for its goroutine.
type patient struct{ q *Queue }

func (p patient) Write(b []byte) (int, error) { return p.q.tryWrite(b) }

// tryWrite is io.Writer's, but waits for a file that somebody made non-blocking.
func (q *Queue) tryWrite(p []byte) (n int, err error) {
	for {
		m, err := q.to.Write(p[n:])
		n += m
		if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR) {
			return n, err
		}
		time.Sleep(retryEvery)
	}
}
