package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/analyzer/receive"
	"sluice/internal/await"
	"sluice/protocol"
)

// farEnd is a receiver of the real kind.
func farEnd(t *testing.T, cfg receive.Config) string {
	t.Helper()
	srv, err := receive.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = srv.Shutdown(ctx)
		await.Value(t, "the end of the receiver", done)
	})
	return ln.Addr().String()
}

// leavesNothing does not count the goroutine that os/signal keeps.
func leavesNothing(t *testing.T) {
	t.Helper()
	_, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	stop()
	await.LeavesNothing(t)
}

// play runs a mode and reads its JSON from standard output, where it follows
// the summary.
func play[R any](t *testing.T, args ...string) (code int, r R, text string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(append(args, "--json", "-"), &out, &errs)
	text = out.String() + errs.String()
	if at := strings.Index(out.String(), "\n{"); at >= 0 {
		if err := json.Unmarshal(out.Bytes()[at:], &r); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	} else if code == exitOK {
		t.Fatalf("no JSON:\n%s", text)
	}
	return code, r, text
}

func TestStormIsServedTwice(t *testing.T) {
	leavesNothing(t)
	var (
		mu  sync.Mutex
		ids = map[string]int{}
	)
	addr := farEnd(t, receive.Config{Handler: func(p *receive.Packet) error {
		mu.Lock()
		defer mu.Unlock()
		ids[string(p.ID)]++
		return nil
	}})
	code, r, text := play[stormReport](t, "--storm", "300", "--addr", addr)
	if code != exitOK || r.First.Served != 300 || r.Again.Served != 300 || r.Mode != "storm" || r.Connections != 300 {
		t.Errorf("exit %d, %+v\n%s", code, r, text)
	}
	if r.Again.Waited.Count != 300 || r.Again.Waited.P50 <= 0 || r.Again.Waited.Max < r.Again.Waited.P99 || r.Again.SpanSeconds != 1 {
		t.Errorf("%+v", r.Again)
	}
	if len(ids) != 600 {
		t.Errorf("%d packets arrived, want two of each agent", len(ids))
	}
}

// TestStormMeetsRefusals: busy is obeyed, a lost connection is made again, and
// a packet that is refused for ever is not served.
func TestStormMeetsRefusals(t *testing.T) {
	var conns, early atomic.Int64
	const retry = 50 * time.Millisecond
	addr := serveRaw(t, func(nc net.Conn) {
		k := conns.Add(1)
		frames := protocol.NewFrameReader(nc, protocol.DefaultMaxFrame)
		if _, err := frames.Next(); err != nil {
			return // loadgen looks whether somebody listens
		}
		switch k % 4 {
		case 0:
			return
		case 1:
			said := time.Now()
			nc.Write(protocol.AppendNack(nil, 1, protocol.NackBusy, retry, "full", 1))
			nc.Write(protocol.AppendAck(nil, 1, 4096, 4<<20))
			if _, err := frames.Next(); err != nil {
				return
			}
			if time.Since(said) < retry {
				early.Add(1)
			}
			nc.Write(protocol.AppendAck(nil, 2, 4097, 4<<20))
		case 2:
			nc.Write(protocol.AppendGoaway(nil, protocol.GoawayDrain, "bye"))
			return
		default:
			nc.Write(protocol.AppendPing(nil, 1))
			nc.Write(protocol.AppendAck(nil, 1, 4096, 4<<20))
		}
		untilClosed(nc)
	})
	code, r, text := play[stormReport](t, "--storm", "40", "--addr", addr)
	busy := r.First.Busy + r.Again.Busy
	if code != exitOK || r.Again.Served != 40 || busy == 0 || early.Load() > 0 {
		t.Errorf("exit %d, %d early\n%s", code, early.Load(), text)
	}
	if r.First.Troubles["closed"]+r.First.Troubles["reset"] == 0 || r.First.Troubles["GOAWAY drain"] == 0 {
		t.Errorf("troubles %v", r.First.Troubles)
	}

	addr = farEnd(t, receive.Config{Handler: func(p *receive.Packet) error {
		return &receive.Refusal{Code: protocol.NackInvalid, Text: "no such thing"}
	}})
	code, r, text = play[stormReport](t, "--storm", "5", "--addr", addr)
	if code != exitFailed || r.Again.Served != 0 || r.Again.Refused["NACK invalid: no such thing"] != 5 {
		t.Errorf("exit %d\n%s", code, text)
	}
}

func TestStormEndsByItself(t *testing.T) {
	addr := serveRaw(t, func(nc net.Conn) { untilClosed(nc) }) // reads, and never answers
	code, r, text := play[stormReport](t, "--storm", "5", "-d", "100ms", "--addr", addr)
	if code != exitFailed || r.First.Served != 0 || r.Again.Served != 0 || r.First.Waited.Count != 0 {
		t.Errorf("exit %d\n%s", code, text)
	}
}

// TestRudeSendersAreClosed: the receiver takes one window more than its credit,
// and then says so and closes, as the protocol has it; or just closes. Each
// time what was written is at least what was read.
func TestRudeSendersAreClosed(t *testing.T) {
	leavesNothing(t)
	const taken = 2 * protocol.FirstCreditFrames
	for name, bye := range map[string][]byte{
		"GOAWAY overload": protocol.AppendGoaway(nil, protocol.GoawayOverload, "past the credit"),
		"reset":           nil,
	} {
		var conns atomic.Uint64
		addr := serveRaw(t, func(nc net.Conn) {
			frames := protocol.NewFrameReader(nc, protocol.DefaultMaxFrame)
			for n := range taken {
				if _, err := frames.Next(); err != nil {
					return // the end of the run, or loadgen looking whether somebody listens
				}
				if n == 0 {
					conns.Add(1)
				}
			}
			nc.Write(bye)
		})
		code, r, text := play[rudeReport](t, "--rude", "-c", "2", "-d", "1", "--addr", addr)
		if code != exitOK || r.ClosedByServer < 2 || r.Opened != r.ClosedByServer+r.OpenAtEnd || r.Opened < conns.Load() {
			t.Fatalf("exit %d, %d connections\n%s", code, conns.Load(), text)
		}
		if r.PacketsEach.Count != r.ClosedByServer || r.PacketsEach.Min < taken || r.WrittenBytes < 204*r.WrittenPackets {
			t.Errorf("%+v\n%s", r, text)
		}
		if r.Endings[name] == 0 || r.Endings["GOAWAY overload"]+r.Endings["reset"] != r.ClosedByServer {
			t.Errorf("endings %v of %d closed, want %s", r.Endings, r.ClosedByServer, name)
		}
	}
}

// TestRudeTellsOfFullSockets: a receiver that stops reading closes nothing, and
// the run ends all the same.
func TestRudeTellsOfFullSockets(t *testing.T) {
	over := make(chan struct{})
	addr := serveRaw(t, func(net.Conn) { <-over })
	t.Cleanup(func() { close(over) })
	code, r, text := play[rudeReport](t, "--rude", "-c", "2", "-d", "1", "--addr", addr)
	if code != exitOK || r.ClosedByServer != 0 || r.OpenAtEnd != 2 || r.BlockedAtEnd != 2 {
		t.Errorf("exit %d\n%s", code, text)
	}
}

// TestRudeKeepsToItsRate: and to nothing else.
func TestRudeKeepsToItsRate(t *testing.T) {
	var got atomic.Int64
	addr := serveRaw(t, func(nc net.Conn) {
		frames := protocol.NewFrameReader(nc, protocol.DefaultMaxFrame)
		for {
			body, err := frames.Next()
			if err != nil {
				return
			}
			if protocol.IsControl(body[0]) || protocol.Scan(body, new(protocol.Scanned)) != nil {
				t.Errorf("not a packet: %x", body[:1])
				return
			}
			got.Add(1)
		}
	})
	code, r, text := play[rudeReport](t, "--rude", "-c", "3", "-r", "2000", "-d", "1", "--addr", addr)
	if code != exitOK || r.ClosedByServer != 0 || r.OpenAtEnd != 3 || r.BlockedAtEnd != 0 {
		t.Fatalf("exit %d, %+v\n%s", code, r, text)
	}
	if r.WrittenPackets == 0 || float64(r.WrittenPackets) > 2000*r.ElapsedSeconds+3 {
		t.Errorf("%d packets in %.3f s, want at most 2000 a second", r.WrittenPackets, r.ElapsedSeconds)
	}
	await.True(t, "all read that arrived", func() bool { return got.Load() > 0 })
}

// TestSlowlorisTellsHowItEnded: the partial-frame deadline strikes though a
// byte comes long before it, again and again.
func TestSlowlorisTellsHowItEnded(t *testing.T) {
	leavesNothing(t)
	addr := farEnd(t, receive.Config{Discard: true, FrameTimeout: 300 * time.Millisecond})
	o, b := slowOptions(t, addr, "60s")
	r := slowloris(t.Context(), o, b, 20*time.Millisecond)
	if !r.good() || r.ClosedByServer != 3 || r.OpenAtEnd != 0 || r.LivedSeconds.Min < 0.2 || r.SentBytes < 9 {
		var out bytes.Buffer
		r.print(&out)
		t.Errorf("%+v\n%s", r, out.String())
	}
}

func TestSlowlorisEndsByItself(t *testing.T) {
	addr := serveRaw(t, func(nc net.Conn) { untilClosed(nc) })
	o, b := slowOptions(t, addr, "200ms")
	r := slowloris(t.Context(), o, b, 10*time.Millisecond)
	if !r.good() || r.OpenAtEnd != 3 || r.ClosedByServer != 0 || r.LivedSeconds.Count != 0 || r.SentBytes < 3 {
		t.Errorf("%+v", r)
	}
	if code, r, text := play[slowReport](t, "--slowloris", "-c", "2", "-d", "100ms", "--addr", addr); code != exitOK || r.Opened != 2 || r.Mode != "slowloris" {
		t.Errorf("exit %d\n%s", code, text)
	}
}

func slowOptions(t *testing.T, addr, d string) (*options, *bodies) {
	t.Helper()
	o, _, err := parseOptions([]string{"--slowloris", "-c", "3", "-d", d, "--addr", addr}, nil, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := makeBodies(o)
	if err != nil {
		t.Fatal(err)
	}
	return o, b
}

func TestModesRefuseWhatTheyWouldIgnore(t *testing.T) {
	for _, args := range [][]string{
		{"--storm", "-1"}, {"--storm", "70000"}, {"--storm", "5", "--rude"}, {"--rude", "--slowloris"},
		{"--rude", "-n", "5"}, {"--storm", "5", "-r", "5"}, {"--slowloris", "-r", "5"},
		{"--rude", "--proto", "http"}, {"--rude", "--compress", "zstd"},
	} {
		if code, _, text := play[heading](t, args...); code != exitConfig || text == "" {
			t.Errorf("%v: exit %d\n%s", args, code, text)
		}
	}
}

func TestMoreConnectionsThanDescriptors(t *testing.T) {
	for _, tc := range []struct {
		o     options
		limit int64
		want  string // part of the error; "": none
	}{
		{options{Connections: 1000}, 1024, "-c 1000"},
		{options{Connections: 1000}, 1032, ""},
		{options{Connections: 1000}, 0, ""}, // nobody could tell
		{options{Connections: 5000, Storm: 5000}, 256, "--storm 5000"},
	} {
		err := tc.o.fitDescriptors(tc.limit)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%d of %d: %v", tc.o.Connections, tc.limit, err)
		}
	}
}

// serveRaw gives each connection to a function, and closes it when that returns.
func serveRaw(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer nc.Close()
				talk(nc)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}
