package node

import (
	"context"
	"net"
	"net/http"
	"testing"

	"sluice/internal/await"
	"sluice/protocol"
)

func heap(t *testing.T, n *Node) int {
	t.Helper()
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: await.Patience}
	resp, err := plain.Get("http://" + n.AdminAddr().String() + "/debug/pprof/heap")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// Profiles are served until the rest has stopped: a stop that hangs can be
// looked into.
func TestProfilesUntilTheEnd(t *testing.T) {
	await.LeavesNothing(t)
	addr, packets := startAnalyzer(t)
	cfg := settings(t, addr)
	cfg.Admin = "127.0.0.1:0"
	n := start(t, cfg)
	if status := heap(t, n); status != 200 {
		t.Fatalf("status %d", status)
	}
	await.True(t, "ready", n.Ready)
	c := dial(t, n.Addr().String())
	var frames []byte
	count := cap(packets) + 10 // the analyzer gets stuck when its channel is full
	for range count {
		frames = append(frames, protocol.AppendFrame(nil, body("stuck"))...)
	}
	if _, err := c.Write(frames); err != nil {
		t.Fatal(err)
	}
	await.True(t, "packets in flight", func() bool { s := n.Stats(); return s.ReceivedPackets == uint64(count) && s.InFlightPackets > 0 })
	done := make(chan error, 1)
	go func() { done <- n.Shutdown(context.Background()) }()
	await.True(t, "draining", func() bool { return n.Stats().Draining })
	if status := heap(t, n); status != 200 {
		t.Errorf("status %d while it stops", status)
	}
	select {
	case err := <-done:
		t.Fatalf("stopped with packets in flight: %v", err)
	default:
	}
	for range count {
		await.Value(t, "packet", packets)
	}
	c.Close()
	if err := await.Value(t, "end of the shutdown", done); err != nil {
		t.Error(err)
	}
	if again, err := net.Dial("tcp", n.AdminAddr().String()); err == nil {
		again.Close()
		t.Error("profiles are still served")
	}
}

func TestNoProfilesUnlessAskedFor(t *testing.T) {
	if n := start(t, settings(t, deadAddr(t))); n.AdminAddr() != nil {
		t.Errorf("profiles on %v", n.AdminAddr())
	}
}
