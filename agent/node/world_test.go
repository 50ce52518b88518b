package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	analyzer "sluice/analyzer/node"
	"sluice/internal/await"
)

// world is an analyzer with an output, a folder of logs, and agents one after
// another.
type world struct {
	t      *testing.T
	dir    string
	output string
	sink   *analyzer.Node
	cfg    Config
	node   *Node
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), output: filepath.Join(t.TempDir(), "out")}
	w.sink = w.analyzer(0)
	w.cfg = Default()
	w.cfg.Addrs, w.cfg.Agent, w.cfg.Host, w.cfg.Location = []string{w.sink.Addr()}, "a", "h", time.UTC
	w.cfg.Files, w.cfg.State = []string{w.path("*.log")}, filepath.Join(t.TempDir(), "state")
	w.cfg.Linger = time.Millisecond
	if change != nil {
		change(&w.cfg)
	}
	t.Cleanup(func() { w.stop(); w.sink.Kill() })
	return w
}

func (w *world) analyzer(maxFrame int) *analyzer.Node {
	w.t.Helper()
	a, err := analyzer.Start(analyzer.Config{Name: "sink", Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Output: w.output, MaxFrame: maxFrame})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) start() {
	w.t.Helper()
	var err error
	if w.node, err = Start(w.cfg, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) stop() {
	if w.node == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	if err := w.node.Stop(ctx); err != nil {
		w.t.Errorf("stop: %v", err)
	}
	w.node = nil
}

func (w *world) write(name, text string) {
	w.t.Helper()
	f, err := os.OpenFile(w.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		w.t.Fatal(err)
	}
}

// messages returns what arrived, sorted.
func (w *world) messages() []string {
	w.t.Helper()
	text, err := os.ReadFile(w.output)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for line := range bytes.Lines(text) {
		var m struct {
			Message  string
			Metadata map[string]any
		}
		if json.Unmarshal(line, &m) == nil {
			if s := m.Metadata["split"]; s != nil {
				m.Message += fmt.Sprintf(" (%v)", s)
			}
			out = append(out, m.Message)
		}
	}
	slices.Sort(out)
	return out
}

// expect waits for so many messages, and compares all of them.
func (w *world) expect(want ...string) {
	w.t.Helper()
	slices.Sort(want)
	await.True(w.t, fmt.Sprintf("%d messages", len(want)), func() bool { return len(w.messages()) >= len(want) })
	if got := w.messages(); !slices.Equal(got, want) {
		w.t.Fatalf("\n got %q\nwant %q", got, want)
	}
}

// awaitFile waits until /stats says of the only file how far it is, in bytes.
func (w *world) awaitFile(acked, lag, unfinished int64) {
	w.t.Helper()
	await.True(w.t, fmt.Sprintf("%d delivered, lag %d, %d unfinished", acked, lag, unfinished), func() bool {
		f := w.node.Stats().Files
		return len(f) == 1 && f[0].Acked == acked && f[0].LagBytes == lag && f[0].Unfinished == unfinished && (lag > 0 || f[0].LagSeconds == 0)
	})
}

func (w *world) rename(from, to string) {
	w.t.Helper()
	if err := os.Rename(w.path(from), w.path(to)); err != nil {
		w.t.Fatal(err)
	}
}
