package dispatch

// What may change while a core runs: which analyzers there are, and the limits
// that only say how much or how long. An analyzer has its index for as long as
// it is there; the caller sees to the order: cores grow before a table names the
// new index, and the table stops naming an index before its link is retired.

// Grow makes links, closed ones, up to n analyzers.
func (c *Core) Grow(n int) {
	for i := len(c.links); i < n; i++ {
		c.links = append(c.links, newLink(c, i))
		c.count.Analyzers = append(c.count.Analyzers, AnalyzerCounters{})
		c.dealing.hands = append(c.dealing.hands, 0)
	}
}

// Reassign begins the counters of an index anew, which another analyzer has from
// now on. Its link must be closed.
func (c *Core) Reassign(i int) { c.count.Analyzers[i] = AnalyzerCounters{} }

// ApplyLimits takes the limits of cfg that may change: those of the queue, of
// retries and of patience. What is over a lower one is settled as ever, and
// nothing new is admitted until it is under it.
func (c *Core) ApplyLimits(cfg Config) {
	c.cfg.MaxQueueFrames, c.cfg.ByteBudget = cfg.MaxQueueFrames, cfg.ByteBudget
	c.cfg.MaxRetries, c.cfg.RetryDelay, c.cfg.QueueTimeout = cfg.MaxRetries, cfg.RetryDelay, cfg.QueueTimeout
	c.cfg.HealthCheck, c.cfg.SpillAfter = cfg.HealthCheck, cfg.SpillAfter
	c.cfg.PingAfter, c.cfg.Silence, c.cfg.AckTimeout = cfg.PingAfter, cfg.Silence, cfg.AckTimeout
}

// ApplyLimits takes the limits that all cores share. Safe for concurrent use.
func (sh *Shared) ApplyLimits(cfg Config) {
	sh.places.SetLimit(cfg.MaxQueueFrames)
	sh.Budget.SetLimit(cfg.ByteBudget)
}
