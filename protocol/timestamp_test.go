package protocol

import (
	"testing"
	"time"
)

// RFC 3339 has forms that Go's parser does not know.
func TestRareFormsOfRFC3339(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"2026-01-02t03:04:05z", "2026-01-02T03:04:05Z"},
		{"2026-01-02 03:04:05.5Z", "2026-01-02T03:04:05.5Z"},
		{"2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"},
		{"2017-01-01T05:29:60+05:30", "2017-01-01T00:00:00Z"},
		{"1990-12-31T15:59:60.25-08:00", "1991-01-01T00:00:00.25Z"},
		{"2016-12-31T22:59:60Z", ""},
		{"2026-01-02T03:04:61Z", ""},
		{"2026-01-02", ""},
		{"2026-01-02T03:04:60", ""},
		{"", ""},
	} {
		got := ""
		if ts := ParseTimestamp(tc.in); !ts.IsZero() {
			got = ts.Format(time.RFC3339Nano)
		}
		if got != tc.want {
			t.Errorf("%q: %s, want %s", tc.in, got, tc.want)
		}
	}
}
