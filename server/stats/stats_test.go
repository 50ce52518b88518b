package stats

import (
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
)

// counting publishes counters that always balance, so that a reader that saw
// half of two publications would see them not balance.
type counting struct{ n uint64 }

func (c *counting) Snapshot(dst *dispatch.Counters) {
	analyzers := dst.Analyzers[:0]
	for range 4 {
		analyzers = append(analyzers, dispatch.AnalyzerCounters{Delivered: c.n, Dispatched: c.n})
	}
	*dst = dispatch.Counters{Received: 6 * c.n, Delivered: 4 * c.n, Queued: c.n, InFlight: c.n, Analyzers: analyzers}
}

func TestReadersSeeWholeSnapshots(t *testing.T) {
	var cells [2]Cell
	var writers, readers sync.WaitGroup
	var done atomic.Bool
	for i := range cells {
		writers.Go(func() {
			src := &counting{}
			for published := 0; published < 2_000; {
				src.n++
				if cells[i].Publish(src) {
					published++
				}
			}
		})
	}
	for range 3 {
		readers.Go(func() {
			last := uint64(0)
			for !done.Load() {
				var sum dispatch.Counters
				for i := range cells {
					cells[i].AddTo(&sum)
				}
				if sum.Unaccounted() != 0 {
					t.Errorf("torn read: %d unaccounted", sum.Unaccounted())
					return
				}
				if sum.Received < last {
					t.Errorf("received went back from %d to %d", last, sum.Received)
					return
				}
				last = sum.Received
			}
		})
	}
	writers.Wait()
	done.Store(true)
	readers.Wait()
}

func TestPublishDoesNotAllocateOrWait(t *testing.T) {
	var cell Cell
	src := &counting{n: 1}
	cell.Publish(src)
	if n := testing.AllocsPerRun(100, func() { cell.Publish(src) }); n != 0 {
		t.Errorf("%v allocations per publication", n)
	}
	cell.mu.Lock() // a reader in the middle of its copy
	src.n = 2
	if cell.Publish(src) {
		t.Error("published into a cell that is being read")
	}
	cell.mu.Unlock()
	var sum dispatch.Counters
	if cell.AddTo(&sum); sum.Received != 6 {
		t.Errorf("received %d, want what was there before", sum.Received)
	}
}

func TestAddSumsEveryField(t *testing.T) {
	one := dispatch.Counters{
		Received: 1, ReceivedMessages: 2, ReceivedBytes: 3, Delivered: 4, Rejected: [8]uint64{0, 1, 2, 3, 4, 5, 6, 7},
		Redispatched: 5, Spilled: 6, DeadLettered: 7, Abandoned: 8, Queued: 9, InFlight: 10, Sessions: 11,
		HungUp: 12, LateAnswers: 13, FalseAcks: 14,
		Analyzers: []dispatch.AnalyzerCounters{{Picked: 1, Dispatched: 2, Delivered: 3, InFlight: 4, Redispatched: 5, Links: 6, Latency: dispatch.Latency{Buckets: [dispatch.LatencyBuckets]uint64{3: 7}, Micros: 8}}},
	}
	var sum dispatch.Counters
	add(&sum, &one)
	got, _ := json.Marshal(sum)
	want, _ := json.Marshal(one)
	if string(got) != string(want) {
		t.Errorf("0 + x is not x:\n%s\n%s", got, want)
	}
	add(&sum, &one)
	if sum.FalseAcks != 28 || sum.Rejected[6] != 12 || sum.Analyzers[0].Latency.Buckets[3] != 14 || sum.Analyzers[0].Latency.Micros != 16 || sum.Analyzers[0].Links != 12 {
		t.Errorf("x + x = %+v", sum)
	}
}

func TestSnapshot(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	sum := dispatch.Counters{
		Received: 110, Delivered: 90, Queued: 3, InFlight: 7, Sessions: 2,
		Analyzers: []dispatch.AnalyzerCounters{{Picked: 60, Dispatched: 75, Delivered: 70, Links: 2}, {Picked: 40, Dispatched: 25, Delivered: 20}},
	}
	sum.Rejected[protocol.NackBusy] = 9
	sum.Rejected[protocol.NackInvalid] = 1
	s := NewSnapshot(1500*time.Millisecond, &sum, []Target{
		{DispatchedBefore: 15, Name: "a", Address: "tcp://h:1", State: "up", Since: since, Transitions: 1, Weight: 3, EffectiveWeight: 3},
		{Index: 1, DispatchedBefore: 5, Name: "b", Address: "tcp://h:2", State: "recovering", Since: since, Reason: "slow start", Transitions: 3, Weight: 2, EffectiveWeight: 1, LinkFailures: 5, LastError: "refused"},
		{Index: 2, Name: "c", Address: "tcp://h:3", State: "down", Since: since, Weight: 0},
	}, DeadLetters{Packets: 4, RefusedPackets: 1, ReplayedPackets: 9, Bytes: 800, ReservedBytes: 200, MaxBytes: 1000, OldestAt: &since, Writable: true, Full: true})
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"uptime_seconds":1.5,"loops":0,"draining":false,"received_packets":110,"received_messages":0,"received_bytes":0,"delivered_packets":90,` +
		`"rejected_packets":{"busy":9,"draining":0,"invalid":1,"too_large":0,"unauthorized":0,"unavailable":0},` +
		`"redispatched_packets":0,"spilled_packets":0,"dead_lettered_packets":0,"abandoned_packets":0,"queued_packets":3,"max_queued_packets":0,` +
		`"in_flight_packets":7,"unaccounted_packets":0,"sessions":2,"hung_up_sessions":0,"late_answers":0,"false_acks":0,"byte_budget":{"used_bytes":0,"max_bytes":0},` +
		`"dead_letters":{"packets":4,"refused_packets":1,"replayed_packets":9,"damaged_files":0,"bytes":800,"reserved_bytes":200,"max_bytes":1000,` +
		`"oldest_at":"2026-01-02T03:04:05Z","writable":true,"full":true},"connections":{"open":0,"max":0,"accepted":0,"refused":null,"accept_errors":null},"http":{"requests":0,"refused":null},` +
		`"config_generation":0,"config_loaded_at":"0001-01-01T00:00:00Z","config_last_error":"","dropped_log_lines":0,"analyzers":[` +
		`{"name":"a","address":"tcp://h:1","state":"up","since":"2026-01-02T03:04:05Z","transitions":1,"weight":3,"effective_weight":3,"target_share":0.6,"effective_share":0.75,"actual_share":0.75,"actual_share_since_change":0.75,` +
		`"picked_packets":60,"dispatched_packets":75,"delivered_packets":70,"in_flight_packets":0,"redispatched_packets":0,"links":2,"link_failures":0,"last_error":"","ack_latency_ms":{"p50":0,"p99":0}},` +
		`{"name":"b","address":"tcp://h:2","state":"recovering","since":"2026-01-02T03:04:05Z","reason":"slow start","transitions":3,"weight":2,"effective_weight":1,"target_share":0.4,"effective_share":0.25,"actual_share":0.25,"actual_share_since_change":0.25,` +
		`"picked_packets":40,"dispatched_packets":25,"delivered_packets":20,"in_flight_packets":0,"redispatched_packets":0,"links":0,"link_failures":5,"last_error":"refused","ack_latency_ms":{"p50":0,"p99":0}},` +
		`{"name":"c","address":"tcp://h:3","state":"down","since":"2026-01-02T03:04:05Z","transitions":0,"weight":0,"effective_weight":0,"target_share":0,"effective_share":0,"actual_share":0,"actual_share_since_change":0,` +
		`"picked_packets":0,"dispatched_packets":0,"delivered_packets":0,"in_flight_packets":0,"redispatched_packets":0,"links":0,"link_failures":0,"last_error":"","ack_latency_ms":{"p50":0,"p99":0}}]}`
	if string(text) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// A refused reload degrades and nothing more, and never hides something worse.
func TestHealthAfterARefusedReload(t *testing.T) {
	up := []Target{{Name: "a", State: StateUp, Weight: 1, EffectiveWeight: 1}}
	h := NewHealth(false, 0, 1, up, DeadLetters{Writable: true}, "the file sets nothing")
	if h.Status != Degraded || h.ConfigLastError != "the file sets nothing" || len(h.Reasons) != 1 || !strings.Contains(h.Reasons[0], "the file sets nothing") {
		t.Errorf("%+v", h)
	}
	if h = NewHealth(true, 0, 1, up, DeadLetters{Writable: true}, "x"); h.Status != Unhealthy {
		t.Errorf("draining: %+v", h)
	}
}

func TestHealth(t *testing.T) {
	up, down := Target{State: "up", Weight: 1, EffectiveWeight: 1}, Target{Name: "b", State: "down", Weight: 1}
	recovering := Target{Name: "c", State: "recovering", Weight: 1, EffectiveWeight: 0.5}
	idle := Target{State: "down", Weight: 0}
	fine, full, broken := DeadLetters{Writable: true}, DeadLetters{Writable: true, Full: true}, DeadLetters{Error: "no such folder"}
	for _, tc := range []struct {
		name     string
		draining bool
		targets  []Target
		letters  DeadLetters
		want     Status
		reasons  string
	}{
		{"all up", false, []Target{up, up}, fine, Healthy, ""},
		{"one down", false, []Target{up, down}, fine, Degraded, "b is down"},
		{"one recovering", false, []Target{up, recovering}, fine, Degraded, "c is recovering"},
		{"none up", false, []Target{down, down}, fine, Unhealthy, "b is down; b is down; no analyzer takes packets"},
		{"weight 0 does not matter", false, []Target{up, idle}, fine, Healthy, ""},
		{"only weight 0 up", false, []Target{down, {State: "up"}}, fine, Unhealthy, "b is down; no analyzer takes packets"},
		{"draining", true, []Target{up}, fine, Unhealthy, "the distributor is stopping"},
		{"dead letters full", false, []Target{up}, full, Degraded, "the dead-letter folder is full, so /ingest is refused"},
		{"dead letters broken", false, []Target{up}, broken, Degraded, "dead letters cannot be written, so /ingest is refused: no such folder"},
		{"broken and none up", false, []Target{down}, broken, Unhealthy,
			"b is down; dead letters cannot be written, so /ingest is refused: no such folder; no analyzer takes packets"},
	} {
		h := NewHealth(tc.draining, 50, 200, tc.targets, tc.letters, "")
		if reasons := strings.Join(h.Reasons, "; "); h.Status != tc.want || reasons != tc.reasons ||
			h.Queue.Utilisation != 0.25 || len(h.Analyzers) != len(tc.targets) {
			t.Errorf("%s: %+v", tc.name, h)
		}
	}
}
