package node

import (
	"context"
	"log/slog"
	"time"
)

// outageAfter is how long a connection may be away with packets waiting before
// it is worth a line in the log: a distributor that restarts is not.
const outageAfter = 3 * time.Second

// watch tells when the distributors were lost and when one is there again: once
// each, however many dials fail in between.
func (n *Node) watch(stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var since time.Time
	told := false
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			c := n.shipper.Counts().Client
			switch {
			case c.Connected || c.Unsettled == 0:
				if told {
					n.log.Info("a distributor is there again")
				}
				since, told = time.Time{}, false
			case since.IsZero():
				since = now
			case !told && now.Sub(since) >= outageAfter:
				told = true
				n.log.Warn("no distributor, waiting", "addresses", n.cfg.Addrs, "unsettled_packets", c.Unsettled, "error", c.LastError)
			}
		}
	}
}

// softer shows what the client says about each connection at debug level only.
type softer struct{ slog.Handler }

func (s softer) Enabled(ctx context.Context, l slog.Level) bool {
	return s.Handler.Enabled(ctx, lowered(l))
}

func (s softer) Handle(ctx context.Context, r slog.Record) error {
	r.Level = lowered(r.Level)
	return s.Handler.Handle(ctx, r)
}

func lowered(l slog.Level) slog.Level {
	if l == slog.LevelInfo {
		return slog.LevelDebug
	}
	return l
}
