package harness

import (
	"context"
	"time"
)

// Crew is a group of agents beside those of Run.Load, for scenarios that tell
// one group of senders from another. Owned by the scenario's goroutine.
type Crew struct {
	run  *Run
	crew *crew
}

// Beside starts another group of agents. It must be stopped before the scenario
// ends.
func (r *Run) Beside(l Load) *Crew { return r.BesideAt(l, r.S.AgentAddrs()) }

// BesideAt is Beside with addresses of their own.
func (r *Run) BesideAt(l Load, addrs []string) *Crew {
	c, err := startCrew(r.S.Oracle, l, addrs)
	r.Must(err)
	r.agents += len(c.agents)
	return &Crew{r, c}
}

// Acked counts the packets of this group that were reported delivered.
func (c *Crew) Acked() (n int) {
	for _, b := range c.crew.books {
		n += b.Delivered()
	}
	return n
}

// Busy counts the answers that told this group to come again later.
func (c *Crew) Busy() (n int) {
	for _, a := range c.crew.agents {
		n += a.Busy()
	}
	return n
}

// Resends counts what was sent again because its connection was lost.
func (c *Crew) Resends() int { return c.crew.resends() }

// Rate is how many of its packets a second are reported delivered.
func (c *Crew) Rate(over time.Duration) float64 {
	before, began := c.Acked(), time.Now()
	time.Sleep(over)
	return float64(c.Acked()-before) / time.Since(began).Seconds()
}

// Stop ends the group and waits for its answers.
func (c *Crew) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := c.crew.close(ctx); err != nil {
		c.run.Fail("agents were not answered: %v", err)
	}
	c.run.S.past += c.crew.resends()
	c.run.agents -= len(c.crew.agents)
}

// AckRate is how many packets a second are reported delivered to all agents.
func (r *Run) AckRate(over time.Duration) float64 {
	before, began := r.S.Oracle.Acked(), time.Now()
	time.Sleep(over)
	return float64(r.S.Oracle.Acked()-before) / time.Since(began).Seconds()
}
