package lines

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func records(s *Splitter, b string, mid bool) string {
	var out []string
	s.Each([]byte(b), mid, false, func(text []byte, at int, piece Piece) {
		out = append(out, fmt.Sprintf("%d %s %q", at, piece, text))
	})
	return strings.Join(out, "; ")
}

func TestCutAndEach(t *testing.T) {
	dated := regexp.MustCompile(`^\d`)
	for _, c := range []struct {
		name  string
		s     Splitter
		in    string
		full  bool
		flush Flush
		cut   int
		want  string
	}{
		{"lines", Splitter{MaxRecord: 9}, "a\nbb\r\nc", false, Hold, 6, `0 whole "a"; 2 whole "bb"`},
		{"partial line is held", Splitter{MaxRecord: 9}, "abc", false, Lines, 0, ""},
		{"partial line is shipped at the end", Splitter{MaxRecord: 9}, "a\nbc", false, All, 4, `0 whole "a"; 2 whole "bc"`},
		{"one CR is stripped", Splitter{MaxRecord: 9}, "a\r\r\n\r\n\n", false, Hold, 7, `0 whole "a\r"; 4 whole ""; 6 whole ""`},
		{"a CR without a line end stays", Splitter{MaxRecord: 9}, "a\r", false, All, 2, `0 whole "a\r"`},
		{"count", Splitter{MaxRecord: 9, MaxLines: 2}, "a\nb\nc\nd\n", false, Hold, 4, `0 whole "a"; 2 whole "b"`},
		{"count, exactly", Splitter{MaxRecord: 9, MaxLines: 2}, "a\nb\n", false, Hold, 4, `0 whole "a"; 2 whole "b"`},
		{"long line", Splitter{MaxRecord: 8}, "123456789", false, Hold, 8, `0 first "12345678"`},
		{"long line in a packet", Splitter{MaxRecord: 8}, "1234567890\nx\n", false, Hold, 13, `0 first "12345678"; 8 last "90"; 11 whole "x"`},
		{"as long as it may be", Splitter{MaxRecord: 8}, "12345678\r\n", false, Hold, 10, `0 whole "12345678"`},
		{"long line, after lines", Splitter{MaxRecord: 8}, "a\n12345678", false, All, 2, `0 whole "a"`},
		{"character at the edge", Splitter{MaxRecord: 8}, "1234567é9", false, Hold, 7, `0 first "1234567"`},
		{"no characters at all", Splitter{MaxRecord: 8}, strings.Repeat("\x80", 12), false, Hold, 8, `0 first "\x80\x80\x80\x80\x80\x80\x80\x80"`},
		{"records", Splitter{MaxRecord: 20, First: dated}, "1 a\n b\n2 c\n d\n", false, Hold, 7, `0 whole "1 a\n b"`},
		{"last record, after the limit", Splitter{MaxRecord: 20, First: dated}, "1 a\n b\n2 c\n d\n", false, Lines, 14, `0 whole "1 a\n b"; 7 whole "2 c\n d"`},
		{"one record is held", Splitter{MaxRecord: 20, First: dated}, "1 a\n b\n", false, Hold, 0, ""},
		{"one record that is too much", Splitter{MaxRecord: 20, First: dated}, "1 a\n b\n", true, Hold, 7, `0 whole "1 a\n b"`},
		{"long record", Splitter{MaxRecord: 8, First: dated}, "1 a\n bcd\n e\n", false, Lines, 12, `0 first "1 a\n bcd"; 8 last "\n e"`},
		{"no first line at all", Splitter{MaxRecord: 20, First: dated}, " b\n1\n", false, Hold, 3, `0 whole " b"`},
		{"nothing", Splitter{MaxRecord: 20}, "", false, All, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := c.s.Cut([]byte(c.in), c.full, c.flush)
			if n != c.cut {
				t.Errorf("cut at %d, want %d", n, c.cut)
			}
			if got := records(&c.s, c.in[:n], false); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
	s := Splitter{MaxRecord: 8}
	for _, c := range []struct{ in, want string }{
		{"90\nx\n", `0 last "90"; 3 whole "x"`},
		{"12345678", `0 middle "12345678"`},
		{"1234567890\n", `0 middle "12345678"; 8 last "90"`},
	} {
		if got := records(&s, c.in, true); got != c.want {
			t.Errorf("within a line: %s, want %s", got, c.want)
		}
	}
}

// Whatever comes, in whatever steps: no byte is lost, put twice or moved but for
// the line ends, and no piece is too long.
func TestNoByteIsLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := Splitter{MaxRecord: rapid.IntRange(5, 12).Draw(rt, "max"), MaxLines: rapid.IntRange(0, 3).Draw(rt, "lines")}
		if rapid.Bool().Draw(rt, "multiline") {
			s.First = regexp.MustCompile("^a")
		}
		in := rapid.StringMatching(`([ab\r\n]|é|\x{10348})*`).Draw(rt, "in")
		got, pos, size := "", 0, 0
		for pos < len(in) {
			size = min(len(in), max(size, pos)+rapid.IntRange(1, 9).Draw(rt, "more"))
			b := in[pos:size]
			full := len(b) >= 16
			flush := Hold
			if size == len(in) {
				flush = All
			}
			n := s.Cut([]byte(b[:min(len(b), 16)]), full, flush)
			if full && n == 0 || size == len(in) && n == 0 {
				rt.Fatalf("stuck at %d of %q", pos, in)
			}
			mid := pos > 0 && in[pos-1] != '\n'
			s.Each([]byte(b[:n]), mid, false, func(text []byte, at int, _ Piece) {
				if len(text) > s.MaxRecord {
					rt.Fatalf("%q is longer than %d", text, s.MaxRecord)
				}
				if !strings.HasPrefix(in[pos+at:], string(text)) {
					rt.Fatalf("%q is not at %d of %q", text, pos+at, in)
				}
				got += string(text)
			})
			pos += n
		}
		bare := func(s string) string { return strings.NewReplacer("\n", "", "\r", "").Replace(s) }
		if bare(got) != bare(in) {
			rt.Fatalf("%q of %q", got, in)
		}
	})
}
