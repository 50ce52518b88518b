package capacity

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/cli"
	"sluice/protocol"
	"sluice/server/config"
)

// Limits that contradict each other are refused under both of their names.
func TestLimitsThatDoNotFitEachOther(t *testing.T) {
	for _, tc := range []struct {
		env  cli.Environ
		args []string
		want string // empty: they fit
	}{
		{nil, []string{"--byte-budget=4MiB"}, ""},
		{nil, []string{"--max-frame=64MiB"}, ""},
		{nil, []string{"--max-frame=64MiB", "--byte-budget=193MiB"}, ""},
		{nil, []string{"--max-frame=64MiB", "--byte-budget=192MiB"}, `--byte-budget "192MiB": must be at least 193MiB with --max-frame 64MiB, `},
		{cli.Environ{"MAX_FRAME_BYTES=2MiB"}, []string{"--byte-budget=4MiB"}, `--byte-budget "4MiB": must be at least 7MiB with MAX_FRAME_BYTES 2MiB, `},
		{cli.Environ{"DEAD_LETTER_MAX_BYTES=1MiB"}, nil, `DEAD_LETTER_MAX_BYTES "1MiB": must be at least 6MiB with --max-frame 1MiB, `},
		{cli.Environ{"DEAD_LETTER_MAX_BYTES=1MiB"}, []string{"--max-frame=200KiB"}, ""},
		{nil, []string{"--dead-letter-max=8MiB", "--max-frame=16MiB", "--byte-budget=20MiB"},
			"--byte-budget \"20MiB\": must be at least 49MiB with --max-frame 16MiB, or packets of that size would never be taken; raise the one or lower the other\n" +
				"--dead-letter-max \"8MiB\": must be at least 81MiB with --max-frame 16MiB, "},
	} {
		cfg, report, err := config.Load(tc.args, tc.env, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		cfg, _, err = Fit(cfg, report, large)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)) {
			t.Errorf("%q %q:\n%v\nwant %s", tc.env, tc.args, err, tc.want)
		}
		if frame := cfg.MaxFrame + protocol.HeaderSize; cfg.LinkWindowBytes < frame || cfg.SessionWindowBytes < frame || cfg.HTTPBodyBytes < largestRequest(&cfg) {
			t.Errorf("%q %q: a window is smaller than a frame: %+v", tc.env, tc.args, cfg.Limits)
		}
	}
}

// A reload judges them, too: the byte budget may change, the frame may not.
func TestAReloadJudgesLimitsTogether(t *testing.T) {
	name := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(name, []byte("max_frame: 16MiB\nbyte_budget: 16MiB\nanalyzers:\n- {name: a, address: 'h:1'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, report, err := config.Load([]string{"--config", name}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Fit(cfg, report, large)
	if want := name + `:2: byte_budget "16MiB": must be at least 49MiB with ` + name + `:1: max_frame 16MiB, `; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v\nwant %s", err, want)
	}
}
