package e2e

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/client"
	"sluice/protocol"
)

// TestSharesOfAMillion: the split is exact however many loops deal from the one
// sequence, and however their turns interleave.
func TestSharesOfAMillion(t *testing.T) {
	for _, loops := range []int{1, 2, 8} {
		t.Run(fmt.Sprintf("loops=%d", loops), func(t *testing.T) { sharesOfAMillion(t, loops) })
	}
}

func sharesOfAMillion(t *testing.T, loops int) {
	const count, conns = 1_000_000, 16
	weights := []float64{40, 30, 20, 10}
	s := newSystem(t, weights...)
	s.cfg.Workers, s.discard = loops, true
	s.start()
	packet := protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "p", AgentID: "agent", Messages: []protocol.LogMessage{
		{Level: protocol.LevelInfo, Source: "e2e", Message: "hello"}}})
	var delivered atomic.Int64
	var all sync.WaitGroup
	for k := range conns {
		all.Go(func() {
			c, err := client.New(client.Config{Addrs: []string{s.distributor.Addr().String()}, Hello: true, Agent: fmt.Sprint("agent-", k),
				OnOutcome: func(_ uint64, o client.Outcome) {
					if o.Delivered {
						delivered.Add(1)
					}
				}})
			if err != nil {
				t.Error(err)
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), 3*limit)
			defer cancel()
			for range count / conns {
				if err := c.SendBody(ctx, packet, 0); err != nil {
					t.Error(err)
					break
				}
			}
			if err := c.Close(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := delivered.Load(); n != count {
		t.Fatalf("%d of %d packets were delivered", n, count)
	}
	st := s.distributor.Stats()
	if st.Loops != loops || st.DeliveredPackets != count || st.UnaccountedPackets != 0 {
		t.Errorf("stats: %+v", st)
	}
	// Who had no room was spared a packet; how many those were is told.
	spare := 10 + float64(st.SpilledPackets+st.RedispatchedPackets)
	for i, weight := range weights {
		want := weight / 100 * count
		if off := float64(st.Analyzers[i].PickedPackets) - want; off > 10 || off < -10 {
			t.Errorf("analyzer %d was picked for %d packets, its weight says %.0f", i+1, st.Analyzers[i].PickedPackets, want)
		}
		if off := float64(st.Analyzers[i].DeliveredPackets) - want; off > spare || off < -spare {
			t.Errorf("analyzer %d had %d packets, its weight says %.0f (%d spilled)", i+1, st.Analyzers[i].DeliveredPackets, want, st.SpilledPackets)
		}
	}
	t.Logf("%d spilled, %d redispatched", st.SpilledPackets, st.RedispatchedPackets)
}
