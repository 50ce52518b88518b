package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sluice/client"
	"sluice/internal/cli"
	"sluice/internal/output"
	"sluice/protocol"
	"sluice/server/deadletter"
)

// courier is a deadletter.Target that sends to a distributor as an agent does.
// Safe for concurrent use.
type courier struct {
	client *client.Client
	denied atomic.Bool // the distributor does not let us

	mu   sync.Mutex
	last uint64
	done map[uint64]func(deadletter.Result)
}

func newCourier(to string) (*courier, error) {
	c := &courier{done: map[uint64]func(deadletter.Result){}}
	var err error
	c.client, err = client.New(client.Config{Addrs: []string{to}, Hello: true, Agent: "dead-letters", OnOutcome: c.outcome})
	return c, err
}

// Well says whether the distributor can be reached.
func (c *courier) Well() bool { return c.client.Stats().Connected && !c.denied.Load() }

// Offer sends a frame. The window of a delivery is far below what the client
// takes, so this does not block.
func (c *courier) Offer(frame []byte, done func(deadletter.Result)) error {
	c.mu.Lock()
	c.last++
	tag := c.last
	c.done[tag] = done
	c.mu.Unlock()
	err := c.client.SendBody(context.Background(), frame[protocol.HeaderSize:], tag)
	if err != nil {
		c.mu.Lock()
		delete(c.done, tag)
		c.mu.Unlock()
	}
	return err
}

func (c *courier) outcome(tag uint64, o client.Outcome) {
	c.mu.Lock()
	done := c.done[tag]
	delete(c.done, tag)
	c.mu.Unlock()
	if o.Code == protocol.NackUnauthorized {
		c.denied.Store(true)
	}
	done(deadletter.Result{Delivered: o.Delivered, Final: o.Code == protocol.NackInvalid || o.Code == protocol.NackTooLarge})
}

// closeWait is how long an end may take; the disk is local.
const closeWait = 10 * time.Second

func replayCommand(dir, to string, patience time.Duration, stdout, stderr io.Writer) int {
	output.SurviveSIGPIPE() // the delivery counts, and not who reads of it
	said, errs := output.NewQueue(stdout), output.NewQueue(stderr)
	defer errs.Close(output.FlushLimit)
	defer said.Close(output.ProductLimit)
	stdout, stderr = said, errs
	if err := checkFolder(dir); err != nil {
		return failed(stderr, err)
	}
	log, err := cli.Logger("text", "warn", stderr)
	if err != nil {
		return failed(stderr, err)
	}
	// What is too large for the distributor is its own to say.
	s, err := deadletter.Open(deadletter.Config{Dir: dir, MaxFrame: maxFrameBytes, Log: log})
	if err != nil {
		return failed(stderr, err)
	}
	before := s.Status()
	switch {
	case !before.Writable:
		err = errors.New(before.Error)
	case before.Packets > 0:
		fmt.Fprintf(stdout, "sending %s from %s to %s\n", count(before.Packets, "packet", "packets"), dir, to)
		err = resend(s, to, patience)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	err = errors.Join(err, s.Close(ctx))
	after := s.Status()
	refused, damaged := after.RefusedPackets-before.RefusedPackets, after.DamagedFiles-before.DamagedFiles
	text := fmt.Sprintf("%s delivered, %s left", count(int(after.Replayed), "packet", "packets"), thousands(after.Packets))
	if refused > 0 {
		text += fmt.Sprintf(", %s refused for ever and kept", thousands(refused))
	}
	if damaged > 0 {
		text += ", " + count(damaged, "damaged file", "damaged files") + " set aside"
	}
	fmt.Fprintln(stdout, text)
	if err != nil {
		return failed(stderr, err)
	}
	if after.Packets+refused+damaged > 0 {
		return exitFailed
	}
	return exitDone
}

// resend replays until nothing waits. The error says why something does.
func resend(s *deadletter.Store, to string, patience time.Duration) error {
	c, err := newCourier(to)
	if err != nil {
		return err
	}
	interrupted, stopSignals := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stopSignals()
	ctx, cancel := context.WithCancel(interrupted)
	replayed := make(chan struct{})
	go func() {
		defer close(replayed)
		s.Replay(ctx, c)
	}()
	err = awaitEmpty(interrupted, s, c, patience)
	cancel()
	<-replayed
	closing, done := context.WithCancel(context.Background())
	done() // what has no answer by now is sent again next time
	_ = c.client.Close(closing)
	return err
}

func awaitEmpty(ctx context.Context, s *deadletter.Store, c *courier, patience time.Duration) error {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	left, movedAt := -1, time.Now()
	for {
		st := s.Status()
		if st.Packets == 0 {
			return nil
		}
		if st.Packets != left {
			left, movedAt = st.Packets, time.Now()
		}
		if c.denied.Load() {
			return errors.New("the distributor refuses us as unauthorized")
		}
		if time.Since(movedAt) > patience {
			if e := c.client.Stats(); !e.Connected && e.LastError != nil {
				return fmt.Errorf("no packet was delivered for %v: %w", patience, e.LastError)
			}
			return fmt.Errorf("no packet was delivered for %v; has the distributor an analyzer that is up?", patience)
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return errors.New("interrupted")
		}
	}
}
