package node

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"

	"sluice/internal/await"
	"sluice/protocol"
)

// A stop does not wait for a loop to work off all that it has read: an event
// loop that has read packets which inflate to much comes to the stop between two of
// them. What was answered 202 is in the folder.
func TestAStopInterruptsABusyLoop(t *testing.T) {
	const bombs, promised = 1500, 100
	cfg := settings(t, deadAddr(t))
	cfg.Workers = 1
	n := start(t, cfg)

	packet := &protocol.LogPacket{PacketID: "bomb", AgentID: "evil", Messages: []protocol.LogMessage{{
		Timestamp: protocol.Timestamp{}, Level: "INFO", Source: "s", Message: "m", Metadata: map[string]any{"k": make([]any, 1<<20-400)}}}}
	bomb := protocol.AppendFrame(nil, protocol.NewCompressor(protocol.Zstd).Append(nil, protocol.AppendPacket(nil, packet)))
	for i := range promised {
		body := fmt.Sprintf(`{"packet_id":"p%d","agent_id":"a","messages":[{"timestamp":"2026-01-02T03:04:05Z","level":"INFO","source":"s","message":"m"}]}`, i)
		res, err := http.Post("http://"+n.HTTPAddr().String()+"/ingest", "application/json", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusAccepted {
			t.Fatalf("status %d", res.StatusCode)
		}
	}
	evil, err := net.Dial("tcp", n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer evil.Close()
	if _, err := evil.Write(bytes.Repeat(bomb, bombs)); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the loop is at work on them", func() bool { return n.Stats().ReceivedPackets > promised })
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := n.Shutdown(over); err != nil {
		t.Logf("the stop says %v", err)
	}
	// What the bombs' sender has no answer for, or is told draining, it sends again.
	got := n.Stats()
	if worked := got.ReceivedPackets - got.RejectedPackets["draining"] - promised; worked >= bombs {
		t.Errorf("all %d were worked off before the stop", worked)
	}
	if got.DeadLetteredPackets != promised {
		t.Errorf("%d of %d promised packets are dead letters", got.DeadLetteredPackets, promised)
	}
}
