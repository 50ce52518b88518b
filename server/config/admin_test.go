package config

import (
	"bytes"
	"strings"
	"testing"
)

func TestAdmin(t *testing.T) {
	for _, tc := range []struct{ given, admin, shown, warning string }{
		{"off", "", "off", ""},
		{"127.0.0.1:6060", "127.0.0.1:6060", "127.0.0.1:6060", ""},
		{"127.9.9.9:0", "127.9.9.9:0", "127.9.9.9:0", ""},
		{"[::1]:6060", "[::1]:6060", "[::1]:6060", ""},
		{"localhost:6060", "localhost:6060", "localhost:6060", ""},
		{"0.0.0.0:6060", "0.0.0.0:6060", "0.0.0.0:6060", "--admin: 0.0.0.0:6060 is not on the loopback interface"},
		{"10.0.0.1:6060", "10.0.0.1:6060", "10.0.0.1:6060", "--admin: 10.0.0.1:6060 is not on"},
		{"example.org:6060", "example.org:6060", "example.org:6060", "--admin: example.org:6060 is not on"},
	} {
		cfg, report, err := load([]string{"--check"}, environment("ADMIN_LISTEN", tc.given))
		if err != nil || cfg.Admin != tc.admin {
			t.Errorf("%s: %q, %v", tc.given, cfg.Admin, err)
			continue
		}
		warnings := strings.Join(report.Warnings, "\n")
		if !strings.HasPrefix(warnings, tc.warning) || tc.warning == "" && warnings != "" {
			t.Errorf("%s: warned %q, want %q", tc.given, warnings, tc.warning)
		}
		var out bytes.Buffer
		if err := report.Print(&out); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(text, "admin "+tc.shown+" environment ADMIN_LISTEN") {
			t.Errorf("%s: --check says\n%s", tc.given, out.String())
		}
	}
}

func TestAddressesOfTheirOwn(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"--listen=127.0.0.1:1 --admin=127.0.0.1:1", "--listen and --admin are both 127.0.0.1:1; each needs a port of its own"},
		{"--http=127.0.0.1:1 --admin=127.0.0.1:1", "--http and --admin are both 127.0.0.1:1; each needs a port of its own"},
		{"--http=127.0.0.1:0 --admin=127.0.0.1:0 --listen=127.0.0.1:0", ""},
	} {
		_, _, err := load(strings.Fields(tc.args), environment())
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || err.Error() != tc.want) {
			t.Errorf("%s: %v", tc.args, err)
		}
	}
}
