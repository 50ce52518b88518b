package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersionIsNeverEmpty(t *testing.T) {
	if f := strings.Fields(Version()); len(f) != 3 || !strings.HasPrefix(f[1], "go") {
		t.Fatalf("Version() = %q", Version())
	}
}

func TestBuildName(t *testing.T) {
	vcs := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: modified}}
	}
	for _, c := range []struct {
		main     string
		settings []debug.BuildSetting
		want     string
	}{
		{"v1.2.3", vcs("false"), "v1.2.3"},
		{"(devel)", vcs("false"), "devel-0123456789ab"},
		{"", vcs("true"), "devel-0123456789ab-dirty"},
		{"(devel)", nil, "devel"},
	} {
		got := buildName(&debug.BuildInfo{Main: debug.Module{Version: c.main}, Settings: c.settings})
		if got != c.want {
			t.Errorf("buildName(%q, %v) = %q, want %q", c.main, c.settings, got, c.want)
		}
	}
}

func TestLoggerFormatsAndLevels(t *testing.T) {
	var out bytes.Buffer
	log, err := Logger("json", "warn", &out)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("hidden")
	log.Warn("shown", "n", 3)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["msg"] != "shown" {
		t.Fatalf("%v in %q", err, out.String())
	}
	out.Reset()
	if log, err = Logger("", "", &out); err != nil {
		t.Fatal(err)
	}
	log.Info("plain")
	if !strings.Contains(out.String(), "msg=plain") {
		t.Fatalf("text output %q", out.String())
	}
}

func TestLoggerRefusesUnknownOptions(t *testing.T) {
	for _, c := range [][3]string{{"xml", "info", "log-format"}, {"text", "loud", "log-level"}} {
		_, err := Logger(c[0], c[1], &bytes.Buffer{})
		var oe *OptionError
		if !errors.As(err, &oe) || oe.Option != c[2] {
			t.Errorf("Logger(%q, %q): %v", c[0], c[1], err)
		}
	}
}
