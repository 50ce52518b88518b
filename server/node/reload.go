package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/server/config"
	"sluice/server/health"
	"sluice/server/pool"
	"sluice/server/pump"
)

// reloads is what /stats tells of the configuration. Immutable.
type reloads struct {
	generation uint64 // 1 is the one of the start
	loadedAt   time.Time
	lastError  string // why the last reload was refused; empty: it was not
}

// ErrStopping says that a distributor that stops takes no new configuration.
var ErrStopping = errors.New("the distributor is stopping")

// Reload obeys a new configuration, which was validated and fits the machine
// (config.Load, capacity.Fit). It is all or nothing: an error means that nothing
// has changed, and is an *cli.Errors where something in it cannot change
// without a restart. What is in flight is neither lost nor repeated:
//
//   - loops know a new index before any table names it, and the table names an
//     index no more before its links are retired;
//   - a retired link gets nothing new, settles what was written to it, and is
//     closed then; what was not written goes to others;
//   - an analyzer with a new address is retired and dialled there.
//
// Safe for concurrent use; one reload at a time.
func (n *Node) Reload(next config.Config) error {
	n.reload.Lock()
	defer n.reload.Unlock()
	c, err := n.judge(&next)
	if err == nil {
		err = n.prepare(c)
	}
	if err != nil {
		if n.running.Err() != nil { // whatever else went wrong
			return ErrStopping
		}
		n.RefuseReload(err)
		return err
	}
	n.obey(&next, c)
	was := n.reloads.Load()
	n.reloads.Store(&reloads{generation: was.generation + 1, loadedAt: time.Now()})
	n.log.Info("configuration reloaded", "generation", was.generation+1, "added", c.added, "removed", c.removed, "moved", c.moved, "weights", c.weighed)
	return nil
}

// RefuseReload notes why a new configuration is not obeyed; the one before stays
// in force.
func (n *Node) RefuseReload(err error) {
	for {
		was := n.reloads.Load()
		now := *was
		now.lastError = err.Error()
		if n.reloads.CompareAndSwap(was, &now) {
			return
		}
	}
}

func (n *Node) judge(next *config.Config) (change, error) {
	if n.draining.Load() {
		return change{}, ErrStopping
	}
	if err := config.NeedsRestart(n.cfg.Load(), next); err != nil {
		return change{}, err
	}
	return n.roster.Load().plan(next.Analyzers, n.health.Free)
}

// prepare makes the loops know every index that the new table will name. One that
// had not would be told to write to a link that it does not have; so if it does
// not answer, the reload is refused, and nothing has changed that anybody sees.
func (n *Node) prepare(c change) error {
	return n.onLoops(func(p *pump.Pump) {
		core := p.Core()
		core.Grow(len(c.roster))
		for _, i := range c.reassigned {
			core.Reassign(i)
		}
	})
}

// obey cannot fail: a loop that does not answer in time does as it is told when it
// comes to it.
func (n *Node) obey(next *config.Config, c change) {
	before := n.roster.Load()
	dc := dispatchConfig(next)
	n.shared.ApplyLimits(dc)
	n.tellLoops(func(p *pump.Pump) { p.Core().ApplyLimits(dc) })
	n.agents.Limit(next.MaxConnections, next.MaxConnectionsPerIP)
	n.cfg.Store(next)
	n.roster.Store(&c.roster)

	// Who moves leaves first, and joins again where it is now.
	members := make([]health.Member, len(c.roster))
	for i, s := range c.roster {
		moves := i < len(*before) && !(*before)[i].left && (*before)[i].Name == s.Name && (*before)[i].Addr != s.Addr
		members[i] = health.Member{Name: s.Name, Weight: s.Weight, Left: s.left || moves}
	}
	n.health.Set(members, next.SlowStart)
	for i, s := range c.roster {
		if s.left {
			n.pool.Set(i, nil)
		} else {
			n.pool.Set(i, &pool.Target{Name: s.Name, Addr: s.Addr})
		}
	}
	n.tellLoops(func(*pump.Pump) {}) // all links are retired, and health knows
	for i, s := range c.roster {
		members[i].Left = s.left
	}
	n.health.Set(members, next.SlowStart)
	n.beginShares(c.roster)
}

// beginShares notes what has been dispatched up to now. The loops are asked
// after they have the new table, so that no packet of an old one comes later.
func (n *Node) beginShares(r roster) {
	r = slices.Clone(r)
	sum := n.counters()
	for i := range r {
		if r[i].before = 0; i < len(sum.Analyzers) {
			r[i].before = sum.Analyzers[i].Dispatched
		}
	}
	n.roster.Store(&r)
}

// onLoops runs f on each loop and waits for all, until the distributor stops. An
// error names those that have not answered; f may still run on them.
func (n *Node) onLoops(f func(*pump.Pump)) (err error) {
	for _, l := range n.loops {
		ctx, cancel := context.WithTimeout(n.running, answerWait)
		if e := l.Do(ctx, f); e != nil {
			err = errors.Join(err, fmt.Errorf("event loop %d does not answer: %w", l.Index(), e))
		}
		cancel()
	}
	return err
}

func (n *Node) tellLoops(f func(*pump.Pump)) {
	if err := n.onLoops(f); err != nil {
		n.log.Warn("late to obey the configuration", "error", err)
	}
}

// analyzerName is who delivered a packet.
func (n *Node) analyzerName(i int) string { return (*n.roster.Load())[i].Name }
