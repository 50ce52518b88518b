package harness

import (
	"context"
	"net"
)

// RunIdle opens connections as agents that have nothing to say, and keeps them
// until ctx ends.
func RunIdle(ctx context.Context, addr string, count int) error {
	for range count {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		defer c.Close()
	}
	<-ctx.Done()
	return nil
}
