package harness

import (
	"context"
	"os"
	"time"

	"sluice/e2e/oracle"
	"sluice/e2e/plain"
)

// RunAgent is an agent in a process of its own, to be killed. It notes each
// packet in a journal before it is sent and again when it was acknowledged,
// each with a write of its own: what the kernel has, SIGKILL cannot take.
// It runs until ctx ends.
func RunAgent(ctx context.Context, handRolled bool, addr string, number, rate int, path string) error {
	journal, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer journal.Close()
	book := oracle.Journaled(number, journal)
	var a agent
	if handRolled {
		a = plain.New([]string{addr}, book)
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
