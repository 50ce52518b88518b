package harness

import (
	"context"

	"sluice/e2e/oracle"
)

// Senders are agents without a [Run]: for a system that the harness did not start.
// Safe for concurrent use.
type Senders struct{ crew *crew }

// StartSenders runs the agents of a load, each with a book of its own.
func StartSenders(o *oracle.Oracle, l Load, addrs []string) (*Senders, error) {
	c, err := startCrew(o, l, addrs)
	return &Senders{c}, err
}

// Close stops sending and waits until every packet has its answer. Call it once.
func (s *Senders) Close(ctx context.Context) error { return s.crew.close(ctx) }

// Resends counts what was sent again because its connection was lost.
func (s *Senders) Resends() int { return s.crew.resends() }
