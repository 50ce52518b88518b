package harness

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"
)

// RunAgent is an agent in a process of its own, to be killed. It notes each
// packet in a journal before it is sent and again when it was acknowledged,
// each with a write of its own: what the kernel has, SIGKILL cannot take.
// It runs until ctx ends.
func RunAgent(ctx context.Context, plain bool, addr string, number, rate int, path string) error {
	journal, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer journal.Close()
	var o Oracle
	book := &Book{Agent: number, oracle: &o, journal: journal}
	o.books = []*Book{book}
	var a agent
	if plain {
		a = NewPlain([]string{addr}, book)
	} else if a, err = NewClient([]string{addr}, book, true); err != nil {
		return err
	}
	c := &crew{agents: []agent{a}, stop: make(chan struct{})}
	c.done.Go(func() { c.send(a, book, float64(rate)) })
	<-ctx.Done()
	last, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return c.close(last)
}

// note writes a line of the journal, if there is one.
func (b *Book) note(kind byte, n int) {
	if b.journal == nil {
		return
	}
	line := appendPadded([]byte{kind}, n, 9)
	if _, err := b.journal.Write(append(line, '\n')); err != nil {
		panic(fmt.Sprintf("the journal cannot be kept, so this run would say nothing: %v", err))
	}
}

// Replay takes over what a dead agent's journal says. What it had not been
// answered when it died is forgotten: nobody waits for it.
func (b *Book) Replay(path string) (acknowledged int, err error) {
	answered := map[int]bool{}
	err = eachLine(path, func(line []byte) {
		n, bad := strconv.Atoi(string(line[1:]))
		switch {
		case bad != nil || len(line) != 10: // the last line, torn
		case line[0] == 'i':
			if got := b.Issue(); got != n {
				b.Fault("its journal issues %d where %d follows", n, got)
			}
		case line[0] == 'a':
			b.Acked(n)
			answered[n] = true
		}
	})
	b.mu.Lock()
	issued := len(b.fates)
	b.mu.Unlock()
	for n := range issued {
		if !answered[n] {
			b.Forget(n)
		}
	}
	return len(answered), err
}
