package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"sluice/internal/cli"
)

// report is what a run has shown, for people and for scripts.
type report interface {
	print(w io.Writer)
	good() bool // what the exit code says
}

// perform runs what was asked for to its end. With an error too, the report is
// of what happened until then.
func perform(ctx context.Context, o *options, b *bodies, log *slog.Logger, stderr io.Writer) (report, error) {
	switch o.mode() {
	case modeStorm:
		return storm(ctx, o, b), nil
	case modeRude:
		return rude(ctx, o, b), nil
	case modeSlowloris:
		return slowloris(ctx, o, b, slowEvery), nil
	}
	return generate(ctx, o, b, log, stderr)
}

// The modes beside the ordinary load, as their flags and reports call them.
const (
	modeLoad      = ""
	modeStorm     = "storm"
	modeRude      = "rude"
	modeSlowloris = "slowloris"
)

// How long the modes take without -d. For a storm it is the limit of each of
// its rounds.
const (
	stormLimit    = 30 * time.Second
	rudeTime      = 10 * time.Second
	slowlorisTime = time.Minute
)

func (o *options) mode() string {
	switch {
	case o.Storm > 0:
		return modeStorm
	case o.Rude:
		return modeRude
	case o.Slowloris:
		return modeSlowloris
	}
	return modeLoad
}

// completeMode fills in what the modes need, and names the options that mean
// nothing in them: one that was ignored would make the report a lie.
func (o *options) completeMode() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	chosen := 0
	for _, on := range []bool{o.Storm != 0, o.Rude, o.Slowloris} {
		if on {
			chosen++
		}
	}
	fault(chosen > 1, "--storm, --rude and --slowloris: give one of them")
	mode := o.mode()
	if mode == modeLoad {
		return errors.Join(faults...)
	}
	fault(o.Proto != "binary", "--%s speaks frames: leave out --proto %s", mode, o.Proto)
	fault(o.Compress != "none", "--%s sends plain packets: leave out --compress", mode)
	fault(o.Packets > 0, "--%s is bounded by -d: leave out -n", mode)
	fault(o.Rate > 0 && mode != modeRude, "--%s has a pace of its own: leave out -r", mode)
	if o.Duration == 0 {
		o.Duration = map[string]time.Duration{
			modeStorm: stormLimit, modeRude: rudeTime, modeSlowloris: slowlorisTime,
		}[mode]
	}
	if mode == modeStorm {
		o.Connections = o.Storm
	}
	return errors.Join(faults...)
}

// spareDescriptors are for what is open beside the connections.
const spareDescriptors = 32

// fitDescriptors refuses more connections than may be open: otherwise the run
// would end in errors that look like the server's.
func (o *options) fitDescriptors(limit int64) error {
	most := limit - spareDescriptors
	if limit == 0 || int64(o.Connections) <= most {
		return nil
	}
	flag := "-c"
	if o.mode() == modeStorm {
		flag = "--storm"
	}
	return fmt.Errorf("%s %d: this process may open %d descriptors, which is enough for %d connections; raise the hard limit (ulimit -Hn), or ask for fewer",
		flag, o.Connections, limit, max(0, most))
}

// heading begins the report of each mode; its JSON is described in README.md.
type heading struct {
	Schema         int       `json:"schema"` // 1
	Version        string    `json:"version"`
	Mode           string    `json:"mode"`
	Started        time.Time `json:"started"`
	Addr           []string  `json:"addr"`
	Connections    int       `json:"connections"`
	Interrupted    bool      `json:"interrupted"`
	ElapsedSeconds float64   `json:"elapsed_seconds"`
}

func newHeading(o *options) heading {
	return heading{Schema: 1, Version: cli.Version(), Mode: o.mode(), Started: time.Now(), Addr: o.Addr, Connections: o.Connections}
}

// end notes how the run ended.
func (h *heading) end(ctx context.Context) {
	h.ElapsedSeconds = time.Since(h.Started).Seconds()
	h.Interrupted = ctx.Err() != nil
}

// table writes rows of a name and what is to be said of it.
type table struct{ w io.Writer }

func (t table) row(name, format string, args ...any) {
	fmt.Fprintf(t.w, "  %-18s %s\n", name, fmt.Sprintf(format, args...))
}

// counted writes a map of counts, the largest first.
func (t table) counted(name string, m map[string]uint64) {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if m[a] != m[b] {
			return int(min(m[b], 1<<30)) - int(min(m[a], 1<<30))
		}
		return strings.Compare(a, b)
	})
	for _, k := range keys {
		t.row(name, "%d × %s", m[k], k)
	}
}

func writeJSON(r report, name string, stdout io.Writer) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if name == "-" {
		_, err = stdout.Write(text)
		return err
	}
	return os.WriteFile(name, text, 0o644)
}
