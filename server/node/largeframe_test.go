package node

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	analyzer "sluice/analyzer/node"
	"sluice/internal/await"
	"sluice/internal/cli"
	"sluice/internal/machine"
	"sluice/protocol"
	"sluice/server/capacity"
	"sluice/server/config"
	"sluice/server/stats"
)

// The largest frame that the settings admit passes, by either protocol, with the
// smallest budget that they admit with it.
func TestTheLargestFramePasses(t *testing.T) {
	var addrs []string // of more links than the budget has frames
	for _, name := range []string{"a", "b", "c", "d"} {
		a, err := analyzer.Start(analyzer.Config{Name: name, Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", MaxFrame: 16 << 20, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.Stop(context.Background()) })
		addrs = append(addrs, name+"=tcp://"+a.Addr())
	}
	cfg, report, err := config.Load([]string{"--listen=127.0.0.1:0", "--http=127.0.0.1:0", "--workers=1", "--silence=60", "--spill-after=60", "--analyzers=" + strings.Join(addrs, ","),
		"--max-frame=16MiB", "--max-body=16MiB", "--byte-budget=49MiB", "--dead-letter-max=81MiB", "--dead-letter-dir=" + t.TempDir()}, cli.Environ{}, io.Discard)
	if err == nil {
		cfg, _, err = capacity.Fit(cfg, report, machine.Facts{})
	}
	if err != nil {
		t.Fatal(err)
	}
	n := start(t, cfg)
	await.True(t, "the analyzers are up", func() bool {
		return !slices.ContainsFunc(n.Stats().Analyzers, func(a stats.Analyzer) bool { return a.State != "up" })
	})
	body := largePacket(cfg.MaxFrame)

	resp, err := http.Post("http://"+n.HTTPAddr().String()+"/ingest?wait=60", "application/msgpack", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%d %s", resp.StatusCode, said)
	}

	c, err := net.Dial("tcp", n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(await.Patience))
	answers := protocol.NewFrameReader(c, 0)
	for number := uint64(1); number <= 8; number++ {
		if _, err := c.Write(protocol.AppendFrame(nil, body)); err != nil {
			t.Fatal(err)
		}
		awaitAck(t, answers, number)
	}
}

// awaitAck reads answers until all frames up to the number are acknowledged.
func awaitAck(t *testing.T, answers *protocol.FrameReader, number uint64) {
	t.Helper()
	for {
		answer, err := answers.Next()
		if err != nil {
			t.Fatal(err)
		}
		var m protocol.Control
		if err := protocol.ParseControl(answer, &m); err != nil {
			t.Fatal(err)
		}
		if m.Op == protocol.OpAck && m.N == number {
			return
		} else if m.Op == protocol.OpNack || m.Op == protocol.OpGoaway {
			t.Fatalf("%+v", m)
		}
	}
}

// largePacket is one whose encoding has exactly size bytes.
func largePacket(size int) []byte {
	encode := func(n int) []byte {
		return protocol.AppendPacket(nil, &protocol.LogPacket{PacketID: "p", AgentID: "a", Messages: []protocol.LogMessage{
			{Level: "INFO", Source: "s", Message: strings.Repeat("x", n)}}})
	}
	return encode(size - (len(encode(size)) - size))
}
