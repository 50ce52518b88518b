package cli

import (
	"strings"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"2": 2 * time.Second, "0.5": time.Second / 2, "500ms": time.Second / 2, "2m": 2 * time.Minute, "1m30s": 90 * time.Second, "7d": 168 * time.Hour,
		"0.1": 100 * time.Millisecond, "0.000000001": 1, "0.0000000005": 1, "1.0000000014": time.Second + 1, "3599.999999999": time.Hour - 1, "0": 0, ".5": time.Second / 2,
	} {
		if got, err := Duration(text, 0, MaxDuration); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "must be a duration", "soon": "must be a duration", "NaN": "must be a duration", "inf": "must be a duration", "1e3": "must be a duration",
		"0x10": "must be a duration", "0x1p4": "must be a duration", "1_000": "must be a duration", "5 s": "must be a duration", "-5": "must be a duration",
		"d": "must be a duration", "1e3d": "must be a duration", "1.2.3": "must be a duration",
		"-5s": "must be from 0s to 1h0m0s", "3601": "must be from 0s to 1h0m0s", "61m": "must be from 0s to 1h0m0s", "1d": "must be from 0s to 1h0m0s",
		strings.Repeat("9", 400): "must be", "99999999999999999999": "must be from 0s to 1h0m0s",
	} {
		if got, err := Duration(text, 0, time.Hour); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{
		"4096": 4096, "1MiB": 1 << 20, "1mib": 1 << 20, "2 KiB": 2048, "1GiB": 1 << 30, "7B": 7, "0": 0, " 5 ": 5,
		"1kB": 1000, "1KB": 1000, "3MB": 3_000_000, "2gb": 2_000_000_000, "1048576GiB": 1 << 50,
	} {
		if got, err := Size[int64](text, 0, MaxSize); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "must be a size", "MiB": "must be a size", "-1": "must be a size", "+1": "must be a size", "1.5MiB": "must be a size", "1e6": "must be a size",
		"0x10": "must be a size", "nan": "must be a size", "inf": "must be a size", "1TiB": "must be a size", "1k": "must be a size",
		"99": "must be from 100 to 1MiB", "2MiB": "must be from 100 to 1MiB", "99999999999999999999": "must be from 100 to 1MiB", "9223372036854775807GiB": "must be from 100 to 1MiB",
	} {
		if got, err := Size(text, 100, 1<<20); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %d, %v, want %s", text, got, err, want)
		}
	}
}

func TestFormatSizeIsReadBack(t *testing.T) {
	for _, n := range []int64{0, 1, 1000, 1023, 1024, 1025, 1 << 20, 1<<20 + 1024, 3 << 30, MaxSize} {
		if got, err := Size[int64](FormatSize(n), 0, MaxSize); err != nil || got != n {
			t.Errorf("%d is written %s and read %d, %v", n, FormatSize(n), got, err)
		}
	}
}

func TestNumbersAndWords(t *testing.T) {
	if n, err := Int("12", 1, 12); err != nil || n != 12 {
		t.Error(n, err)
	}
	for _, text := range []string{"", "0", "13", "1.5", "1e1", "0x5", "two", "99999999999999999999"} {
		if n, err := Int(text, 1, 12); err == nil || err.Error() != "must be a whole number from 1 to 12" {
			t.Errorf("Int(%q) = %d, %v", text, n, err)
		}
	}
	if f, err := Rate("2.5", 0, 1e9); err != nil || f != 2.5 {
		t.Error(f, err)
	}
	for _, text := range []string{"", "nan", "Inf", "1e3", "0x1p4", "-1", "1000000001"} {
		if f, err := Rate(text, 0, 1e9); err == nil || err.Error() != "must be a number from 0 to 1000000000, such as 20 or 0.5" {
			t.Errorf("Rate(%q) = %v, %v", text, f, err)
		}
	}
	for text, want := range map[string]bool{"yes": true, "TRUE": true, "1": true, "on": true, "off": false, "No": false, "0": false} {
		if got, err := Bool(text); err != nil || got != want {
			t.Errorf("Bool(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "maybe", "2"} {
		if got, err := Bool(text); err == nil {
			t.Errorf("Bool(%q) = %v", text, got)
		}
	}
	if p, err := ReadPair("k=v=w"); err != nil || p != (Pair{"k", "v=w"}) {
		t.Error(p, err)
	}
	for _, text := range []string{"", "k", "=v"} {
		if p, err := ReadPair(text); err == nil {
			t.Errorf("ReadPair(%q) = %v", text, p)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	names := []string{"listen", "log-level", "max-frame"}
	for got, want := range map[string]string{"lissten": "; did you mean listen?", "LOG_LEVEL": "; did you mean log-level?", "maxframe": "; did you mean max-frame?", "typo": "", "": ""} {
		if said := DidYouMean(got, names); said != want {
			t.Errorf("%s: %q, want %q", got, said, want)
		}
	}
}
