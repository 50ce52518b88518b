package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	agentnode "sluice/agent/node"
	"sluice/client"
	"sluice/internal/rawlog"
	"sluice/protocol"
)

// lines gives the messages of the demonstrations: made up, or of real files.
type lines struct {
	list     []protocol.LogMessage
	patterns []string // of the real files
}

// readLines reads the files that the patterns match; none: made-up lines.
func readLines(patterns []string) (*lines, error) {
	if len(patterns) == 0 {
		return madeUp(), nil
	}
	list, err := rawlog.ReadFiles(patterns, time.Now())
	if err != nil {
		return nil, fmt.Errorf("--from %w", err)
	}
	return &lines{list: list, patterns: patterns}, nil
}

func madeUp() *lines {
	l := &lines{}
	levels := []protocol.Level{protocol.LevelDebug, protocol.LevelInfo, protocol.LevelInfo, protocol.LevelWarning, protocol.LevelError}
	for i := range 50 {
		l.list = append(l.list, protocol.LogMessage{
			Timestamp: protocol.Timestamp{Time: time.Now()}, Level: levels[i%len(levels)], Source: fmt.Sprintf("service-%d", i%7),
			Message: fmt.Sprintf("request %d served in %d ms", i, 3+i%40)})
	}
	return l
}

// sent is what became of a run of packets.
type sent struct {
	accepted, delivered, failed uint64
	resends                     uint64
	took                        time.Duration
}

// load says what to send: packets of one line each.
type load struct {
	addr  string
	conns int
	count uint64 // in all; 0: until the context ends
	rate  int    // packets a second in all; 0: as fast as the answers allow
	lines *lines
}

// ship has an agent ship the files, as it would anywhere, but with one line a
// packet: packets are what the weights split.
func ship(ctx context.Context, addr string, patterns []string) (sent, error) {
	cfg := agentnode.Default()
	cfg.Addrs, cfg.Agent, cfg.Files = []string{addr}, "demo-agent", patterns
	cfg.Once, cfg.MaxLines = true, 1
	begin := time.Now()
	n, err := agentnode.Start(cfg, nil)
	if err != nil {
		return sent{}, err
	}
	select {
	case <-n.Finished():
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	err = n.Stop(closing)
	st := n.Stats()
	if err == nil && st.Problems > 0 {
		err = fmt.Errorf("--from: %d files cannot be read", st.Problems)
	}
	return sent{accepted: st.EncodedRecords, delivered: st.DeliveredRecords, failed: st.EncodedRecords - st.DeliveredRecords,
		resends: st.Resends, took: time.Since(begin)}, err
}

// send sends the load and waits for every outcome.
func send(ctx context.Context, o load) (sent, error) {
	var next, accepted, delivered, failed, resends atomic.Uint64
	begin := time.Now()
	var wg sync.WaitGroup
	errs := make(chan error, o.conns)
	for i := range o.conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs <- sendOver(ctx, o, fmt.Sprintf("demo-agent-%d", i+1), &next, func(out client.Outcome) {
				if out.Delivered {
					delivered.Add(1)
				} else {
					failed.Add(1)
				}
				resends.Add(uint64(out.Resends))
			}, &accepted)
		}()
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return sent{}, err
		}
	}
	return sent{accepted.Load(), delivered.Load(), failed.Load(), resends.Load(), time.Since(begin)}, nil
}

// sendOver sends one agent's packets: it takes numbers from next until count.
func sendOver(ctx context.Context, o load, agent string, next *atomic.Uint64, outcome func(client.Outcome), accepted *atomic.Uint64) error {
	c, err := client.New(client.Config{Addrs: []string{o.addr}, Hello: true, Agent: agent,
		OnOutcome: func(_ uint64, o client.Outcome) { outcome(o) }})
	if err != nil {
		return err
	}
	run := time.Now().UnixNano()
	packet := protocol.LogPacket{AgentID: agent, Messages: make([]protocol.LogMessage, 1)}
	begin, mine := time.Now(), 0
	for ctx.Err() == nil {
		if o.rate > 0 { // at planned times, so that a stall is made up for
			due := time.Duration(mine) * time.Second * time.Duration(o.conns) / time.Duration(o.rate)
			if ahead := due - time.Since(begin); ahead > 5*time.Millisecond {
				time.Sleep(ahead)
				continue
			}
			mine++
		}
		n := next.Add(1)
		if o.count > 0 && n > o.count {
			break
		}
		packet.PacketID = fmt.Sprintf("%s-%x-%d", agent, run, n)
		packet.Messages[0] = o.lines.list[int(n-1)%len(o.lines.list)]
		if err := c.SendPacket(ctx, &packet, n); err != nil {
			break // the time is over, and this packet was not accepted
		}
		accepted.Add(1)
	}
	closing, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	return c.Close(closing)
}
