package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"sluice/client"
	"sluice/internal/await"
	"sluice/internal/cli"
	"sluice/server/config"
	"sluice/server/stats"
)

// exchange delivers count packets over one connection, all of them.
func exchange(t *testing.T, n *Node, count int) {
	t.Helper()
	var delivered sync.WaitGroup
	delivered.Add(count)
	c, err := client.New(client.Config{Addrs: []string{n.Addr().String()}, Hello: true, Agent: "agent", OnOutcome: func(_ uint64, o client.Outcome) {
		if !o.Delivered {
			t.Errorf("outcome %+v", o)
		}
		delivered.Done()
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	for i := range count {
		if err := c.SendBody(ctx, body(fmt.Sprint("p-", i)), uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	delivered.Wait()
}

func allUp(n *Node) func() bool {
	return func() bool { return n.Health().Status == stats.Healthy }
}

// sink drains what a fake analyzer tells, and counts.
func sink(t *testing.T) (addr string, count func() int) {
	addr, packets := startAnalyzer(t)
	var mu sync.Mutex
	got := 0
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-packets:
				mu.Lock()
				got++
				mu.Unlock()
			case <-done:
				return
			}
		}
	}()
	t.Cleanup(func() { close(done) })
	return addr, func() int {
		mu.Lock()
		defer mu.Unlock()
		defer func() { got = 0 }()
		return got
	}
}

// Weights, an addition, a removal, a move and a return: each is in force when
// Reload has returned and those who are new are up, exactly, and nothing is lost.
func TestReload(t *testing.T) {
	addrA, gotA := sink(t)
	addrB, gotB := sink(t)
	addrC, gotC := sink(t)
	cfg := settings(t, addrA, addrB)
	n := start(t, cfg)
	generation := uint64(1)
	step := func(what string, weights map[string]float64, addrs map[string]string, want map[string]int) {
		t.Helper()
		next := cfg
		next.Analyzers = nil
		for _, name := range []string{"a", "b", "c"} {
			if addr, there := addrs[name]; there {
				next.Analyzers = append(next.Analyzers, config.Analyzer{Name: name, Addr: addr, Weight: weights[name]})
			}
		}
		if err := n.Reload(next); err != nil {
			t.Fatal(what, err)
		}
		generation++
		await.True(t, what+": all are up", allUp(n))
		gotA()
		gotB()
		gotC()
		exchange(t, n, 1000)
		// Each table's count begins in the middle of the sequence: 10 off at most.
		got := map[string]int{addrA: gotA(), addrB: gotB(), addrC: gotC()}
		for name, n := range got {
			if off := n - want[name]; off < -10 || off > 10 || want[name] == 0 && n > 0 {
				t.Errorf("%s: %s had %d packets, want %d", what, name, n, want[name])
			}
		}
		st := n.Stats()
		if st.ConfigGeneration != generation || st.ConfigLastError != "" || len(st.Analyzers) != len(next.Analyzers) {
			t.Errorf("%s: generation %d (%s), %d analyzers", what, st.ConfigGeneration, st.ConfigLastError, len(st.Analyzers))
		}
		for _, a := range st.Analyzers {
			if a.ActualShareNow != float64(got[a.Address])/1000 {
				t.Errorf("%s: %s has a share of %v since the change, and had %d packets of 1,000", what, a.Name, a.ActualShareNow, got[a.Address])
			}
		}
		if st.UnaccountedPackets != 0 || st.RedispatchedPackets != 0 {
			t.Errorf("%s: %+v", what, st)
		}
	}
	await.True(t, "all are up", allUp(n))
	two := map[string]string{"a": addrA, "b": addrB}
	step("other weights", map[string]float64{"a": 3, "b": 1}, two, map[string]int{addrA: 750, addrB: 250})
	step("one more", map[string]float64{"a": 1, "b": 1, "c": 2}, map[string]string{"a": addrA, "b": addrB, "c": addrC}, map[string]int{addrA: 250, addrB: 250, addrC: 500})
	step("one less", map[string]float64{"b": 1, "c": 1}, map[string]string{"b": addrB, "c": addrC}, map[string]int{addrB: 500, addrC: 500})
	step("moved", map[string]float64{"b": 1, "c": 4}, map[string]string{"b": addrA, "c": addrC}, map[string]int{addrA: 200, addrC: 800})
	step("back", map[string]float64{"a": 1, "c": 1}, map[string]string{"a": addrB, "c": addrC}, map[string]int{addrB: 500, addrC: 500})
	step("all others", map[string]float64{"b": 1}, map[string]string{"b": addrA}, map[string]int{addrA: 1000})
}

// What cannot be obeyed changes nothing and is told; a good one follows it.
func TestReloadIsRefused(t *testing.T) {
	addr, _ := sink(t)
	cfg := settings(t, addr)
	n := start(t, cfg)
	await.True(t, "all are up", allUp(n))
	bad := cfg
	bad.MaxFrame, bad.Route, bad.MaxQueue = 64<<10, config.RouteAgent, 7
	var faults *cli.Errors
	if err := n.Reload(bad); !errors.As(err, &faults) || len(faults.Faults) != 2 {
		t.Errorf("error %v, want max_frame and route", err)
	}
	st := n.Stats()
	if st.ConfigGeneration != 1 || st.ConfigLastError == "" || st.MaxQueuedPackets != uint64(cfg.MaxQueue) {
		t.Errorf("generation %d, error %q, queue %d", st.ConfigGeneration, st.ConfigLastError, st.MaxQueuedPackets)
	}
	if h := n.Health(); h.Status != stats.Degraded || h.ConfigLastError != st.ConfigLastError {
		t.Errorf("health after a refused reload: %+v", h)
	}
	good := cfg
	good.MaxQueue, good.ByteBudget, good.MaxConnections, good.Grace = 7, 128<<20, 3, time.Minute
	if err := n.Reload(good); err != nil {
		t.Fatal(err)
	}
	st = n.Stats()
	if st.ConfigGeneration != 2 || st.ConfigLastError != "" || st.MaxQueuedPackets != 7 || st.ByteBudget.MaxBytes != 128<<20 || st.Connections.Max != 3 || n.Grace() != time.Minute {
		t.Errorf("after a good one: %+v", st)
	}
	if h := n.Health(); h.Status != stats.Healthy || h.ConfigLastError != "" {
		t.Errorf("health after a good reload: %+v", h)
	}
	exchange(t, n, 100)
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	if err := n.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.Reload(cfg); err == nil {
		t.Error("a distributor that has stopped is reloaded")
	}
}

// The queue's new limit holds at once, for those on the wire and for HTTP.
func TestReloadOfTheQueue(t *testing.T) {
	cfg := settings(t, deadAddr(t))
	n := start(t, cfg)
	next := cfg
	next.MaxQueue = 2
	if err := n.Reload(next); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, false} {
		if a := n.Sender(netip.Addr{}).Submit(body(fmt.Sprint("p-", i)), 1, nil); a.Accepted != want {
			t.Errorf("packet %d: %+v", i, a)
		}
	}
}
