package dispatch

// What the tests of this package, which drive it through a pump, see of its
// inside.

// Closed says that the link has no connection.
func (l *Link) Closed() bool { return l.state == linkClosed }

// Draining says that the link takes nothing new.
func (l *Link) Draining() bool { return l.draining }

// Window returns what the link has written, holds in all, and the bytes of that.
func (l *Link) Window() (written, held, bytes int) {
	return l.flight.Written(), l.flight.Len(), l.flight.Bytes()
}

// Held returns the unsettled frames of all sources, as the sources count and as
// the parties do, and how many slots there are.
func (c *Core) Held() (bySources, byParties, slots int) {
	for _, s := range c.sources.all {
		if s != nil {
			bySources += s.unsettled
		}
	}
	return bySources, c.parties.root.frames, len(c.sources.all)
}

// Parties returns how many tenants and addresses there are.
func (c *Core) Parties() int { return len(c.parties.all) }

// Needed returns the frames that keep the links busy.
func (c *Core) Needed() int { return c.neededNow }

// SettledUpTo returns the number up to which all frames are settled.
func (s *Source) SettledUpTo() uint64 { return s.credit.ack.UpTo() }

// CreditWindow returns the window, in frames.
func (s *Source) CreditWindow() int { return s.credit.window }

// SetHandOverMin changes a limit of a core that runs.
func (c *Core) SetHandOverMin(frames int) { c.cfg.HandOverMin = frames }

// WriteBytes bounds one write to a link.
const WriteBytes = writeBytes
