package dispatch_test

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/protocol"
	"sluice/server/dispatch"
)

var update = flag.Bool("update", false, "write the golden output of the scripts anew")

// TestScripts runs testdata/*.txt: each line that begins with > is a command,
// and what follows is what it printed. `go test -run Scripts -update` rewrites
// them; read the difference before you commit it.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("output differs from %s (see -update); got:\n%s", file, got)
			}
		})
	}
}

func runScript(t *testing.T, script string) string {
	var out strings.Builder
	var w *world
	sc := bufio.NewScanner(strings.NewReader(script))
	for sc.Scan() {
		line := sc.Text()
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			fmt.Fprintln(&out, line)
			continue
		}
		if !strings.HasPrefix(line, "> ") {
			continue // old output
		}
		fmt.Fprintln(&out, line)
		words := strings.Fields(line[2:])
		if words[0] == "world" {
			w = scriptWorld(t, words[1:])
			continue
		}
		command(t, w, &out, words)
		w.report(&out)
		w.check()
	}
	return out.String()
}

// scriptWorld: world 40 30 queue=3 strict retries=1
func scriptWorld(t *testing.T, words []string) *world {
	cfg := dispatch.Defaults()
	var weights []float64
	for _, word := range words {
		key, value, isOption := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		switch {
		case !isOption && key == "strict":
			cfg.Strict = true
		case !isOption:
			x, err := strconv.ParseFloat(word, 64)
			if err != nil {
				t.Fatal(err)
			}
			weights = append(weights, x)
		case key == "queue":
			cfg.MaxQueueFrames = n
		case key == "window":
			cfg.LinkWindowFrames = n
		case key == "session":
			cfg.SessionWindowFrames = n
		case key == "idleplain":
			cfg.IdlePlain = time.Duration(n) * time.Second
		case key == "maxframe":
			cfg.MaxFrame = n
		case key == "retries":
			cfg.MaxRetries = n
		case key == "route" && value == "agent":
			cfg.Route = dispatch.RouteAgent
		default:
			t.Fatalf("unknown option %q", word)
		}
	}
	return newWorld(t, cfg, weights...)
}

func command(t *testing.T, w *world, out *strings.Builder, words []string) {
	num := func(i, def int) int {
		if i >= len(words) {
			return def
		}
		n, err := strconv.Atoi(words[i])
		if err != nil {
			t.Fatalf("%v: %v", words, err)
		}
		return n
	}
	switch words[0] {
	case "up":
		if len(words) == 1 {
			for i := range w.sinks {
				w.up(i)
			}
			break
		}
		w.up(num(1, 0))
	case "connect": // agent
		w.agent(words[1])
	case "send": // agent count size
		w.send(words[1], num(2, 1), num(3, 10))
	case "raw": // agent hex bytes
		a := w.agent(words[1])
		var data []byte
		if _, err := fmt.Sscanf(words[2], "%x", &data); err != nil {
			t.Fatal(err)
		}
		a.sent++
		w.receive(a, data)
	case "badbody": // a data frame that is no packet
		a := w.agent(words[1])
		for range num(2, 1) {
			a.sent++
			w.receive(a, protocol.AppendFrame(nil, []byte{0xc3}))
		}
	case "submit": // count size: frames that we answer for
		w.submit(num(1, 1), num(2, 10))
	case "bury":
		w.turn(func(c *dispatch.Core) { c.DeadLetterAll() })
	case "part": // agent bytes: so many bytes of a frame, once
		a := w.agent(words[1])
		frame := packet(words[1], a.sent+1, 100)
		w.receive(a, frame[:num(2, 1)])
	case "rest": // agent bytes: and the rest of it
		a := w.agent(words[1])
		a.sent++
		frame := packet(words[1], a.sent, 100)
		w.receive(a, frame[num(2, 1):])
	case "hello":
		a := w.agent(words[1])
		w.receive(a, protocol.AppendHello(nil, protocol.Hello{Version: protocol.Version, Agent: words[1]}))
	case "answer": // agent: to a PING
		a := w.agent(words[1])
		w.receive(a, protocol.AppendPong(nil, []byte{1}))
	case "deaf": // agent: its socket takes nothing
		w.agent(words[1]).deaf = true
	case "hold": // sink: keep it out of the table
		w.held[num(1, 0)] = true
		w.publish()
	case "ack": // sink count
		w.ack(num(1, 0), num(2, 1<<20))
	case "nack": // sink n count code
		var code protocol.NackCode
		for c := protocol.NackBusy; c <= protocol.NackDraining; c++ {
			if c.String() == words[4] {
				code = c
			}
		}
		data := protocol.AppendNack(nil, uint64(num(2, 1)), code, 100*time.Millisecond, "no", uint64(num(3, 1)))
		w.answer(num(1, 0), data)
	case "falseack":
		data := protocol.AppendAck(nil, uint64(num(2, 1)), 1<<20, 1<<40)
		w.answer(num(1, 0), data)
	case "goaway":
		w.answer(num(1, 0), protocol.AppendGoaway(nil, protocol.GoawayDrain, "restart"))
	case "pong":
		w.answer(num(1, 0), protocol.AppendPong(nil, []byte{1}))
	case "lose":
		w.lose(num(1, 0))
	case "full":
		w.sinks[num(1, 0)].full = true
	case "leave":
		a := w.agent(words[1])
		w.leave(a)
	case "wait":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatal(err)
		}
		w.advance(d)
	case "drain":
		w.pump.Drain()
	case "ledger":
		n := w.check()
		fmt.Fprintf(out, "received=%d delivered=%d rejected=[%s] redispatched=%d spilled=%d dead_lettered=%d abandoned=%d queued=%d in_flight=%d\n",
			n.Received, n.Delivered, rejected(n), n.Redispatched, n.Spilled, n.DeadLettered, n.Abandoned, n.Queued, n.InFlight)
	default:
		t.Fatalf("unknown command %v", words)
	}
}

// report prints what the far ends have heard since the last report.
func (w *world) report(out *strings.Builder) {
	for _, e := range w.events {
		fmt.Fprintln(out, e)
	}
	w.events = nil
	for i, s := range w.sinks {
		for _, line := range s.lines {
			fmt.Fprintf(out, "to sink %d: %s\n", i, line)
		}
		s.lines = nil
		if len(s.received) > 0 {
			ids := s.received
			if len(ids) > 6 {
				ids = append(append([]string{}, ids[:3]...), fmt.Sprintf("… %d more …", len(ids)-4), ids[len(ids)-1])
			}
			fmt.Fprintf(out, "to sink %d: %s\n", i, strings.Join(ids, " "))
			s.received = nil
		}
	}
	for _, line := range w.desk.lines {
		fmt.Fprintf(out, "to desk: %s\n", line)
	}
	w.desk.lines = nil
	for _, name := range []string{"a", "b", "c"} {
		a := w.agents[name]
		if a == nil {
			continue
		}
		for _, line := range a.lines {
			fmt.Fprintf(out, "to agent %s: %s\n", name, line)
		}
		a.lines = nil
	}
}
