package node

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sluice/protocol"
)

// The programs of examples/python are what the README sends people to; so they
// have to work as they are.
func python(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	interpreter, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("NOT TESTED: python3 is not installed, the Python examples were not run")
	}
	_, here, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(here), "..", "..", "examples", "python", script)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, interpreter, append([]string{path}, args...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestPythonAgent(t *testing.T) {
	receipts := filepath.Join(t.TempDir(), "receipts")
	n := start(t, Config{Receipts: receipts})
	out, err := python(t, "agent.py", n.Addr(), "3000").Output()
	if err != nil || string(out) != "3000 delivered, 0 refused\n" {
		t.Fatalf("%v, %q", err, out)
	}
	ids, _ := os.ReadFile(receipts)
	if s := n.Stats(); s.ReceivedPackets != 3000 || s.InvalidPackets != 0 || strings.Count(string(ids), "\n") != 3000 {
		t.Errorf("%+v", s)
	}
}

// A receiver that answers busy, refuses one, tells the agent to go, and cuts
// it off: each packet still has one outcome.
func TestPythonAgentResends(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	finished := make(chan []string, 1)
	go func() {
		var taken []string
		defer func() { finished <- taken }()
		for round := 0; ; round++ {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			in := protocol.NewFrameReader(nc, 0)
			for n := uint64(1); ; n++ {
				body, err := in.Next()
				if err != nil {
					break
				}
				var s protocol.Scanned
				if protocol.Scan(body, &s) != nil {
					taken = append(taken, "invalid")
				}
				var answer []byte
				switch {
				case round == 0 && n == 3:
					answer = protocol.AppendNack(answer, n, protocol.NackBusy, 0, "", 1)
				case round == 0 && n == 5:
					answer = protocol.AppendNack(answer, n, protocol.NackInvalid, 0, "not nice", 1)
				case round == 0 && n == 8:
					answer = protocol.AppendGoaway(answer, protocol.GoawayDrain, "")
					taken = append(taken, string(s.PacketID))
				case round == 1 && n == 4:
					nc.Close()
					continue
				default:
					taken = append(taken, string(s.PacketID))
				}
				nc.Write(protocol.AppendAck(answer, n, n+4096, 4<<20))
			}
			nc.Close()
		}
	}()
	out, err := python(t, "agent.py", ln.Addr().String(), "1500").Output()
	if err == nil || !strings.Contains(string(out), "1499 delivered, 1 refused") || !strings.Contains(string(out), "not nice") {
		t.Errorf("%v, %q", err, out)
	}
	ln.Close()
	distinct := map[string]bool{}
	for _, id := range <-finished {
		distinct[id] = true
	}
	if len(distinct) != 1499 || distinct["invalid"] {
		t.Errorf("%d distinct packets, want 1499", len(distinct))
	}
}

func TestPythonAnalyzer(t *testing.T) {
	cmd := python(t, "analyzer.py", "0")
	cmd.Stderr = nil
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	var port int
	if _, err := fmt.Fscanf(stderr, "listening on %d\n", &port); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, stderr)
	nc, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	in := protocol.NewFrameReader(nc, 0)
	out := protocol.AppendHello(nil, protocol.Hello{Version: 1, Agent: "go"})
	out = protocol.AppendPing(out, 123456789)
	if _, err := nc.Write(out); err != nil {
		t.Fatal(err)
	}
	var c protocol.Control
	var welcome protocol.Welcome
	for _, op := range []protocol.Opcode{protocol.OpWelcome, protocol.OpPong} {
		body, err := in.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := protocol.ParseControl(body, &c); err != nil || c.Op != op {
			t.Fatalf("%x: %v", body, err)
		}
		if op == protocol.OpWelcome {
			welcome = c.Welcome
		}
	}
	if c.Echo[0] != 0xce || c.Echo[4] != 0x15 {
		t.Errorf("echo %x", c.Echo)
	}
	if welcome.Frames < protocol.FirstCreditFrames || welcome.MaxFrame != protocol.DefaultMaxFrame || welcome.Server != "python" || len(welcome.Compression) != 3 {
		t.Errorf("%+v", welcome)
	}
	send(t, nc, "one", "two")
	if _, err := nc.Write(protocol.AppendFrame(nil, []byte{0x81, 0xa1, 'x', 0xc0})); err != nil {
		t.Fatal(err)
	}
	meta := protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "rich", AgentID: "a", Messages: []protocol.LogMessage{
		{Level: "INFO", Metadata: map[string]any{"a": -5, "b": -70000, "c": 1.5, "d": []any{nil, true, []byte{1}}, "e": uint64(1 << 63), "f": strings.Repeat("x", 300)}}, {}}})
	if _, err := nc.Write(protocol.AppendFrame(nil, meta)); err != nil {
		t.Fatal(err)
	}
	zipped := protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "zip", AgentID: "a"})
	for _, kind := range []protocol.Compression{protocol.Gzip, protocol.Zstd, protocol.S2} {
		if _, err := nc.Write(protocol.AppendFrame(nil, protocol.NewCompressor(kind).Append(nil, zipped))); err != nil {
			t.Fatal(err)
		}
	}
	if refused := await(t, in, 7); refused != 1 {
		t.Errorf("%d refused", refused)
	}
	lines := bufio.NewScanner(stdout)
	for _, want := range []string{"one 1", "two 1", "rich 2", "zip 0", "zstd packet of ", "s2 packet of "} {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), want) {
			t.Errorf("%q, want %q", lines.Text(), want)
		}
	}
}
