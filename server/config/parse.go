package config

import (
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// The parsers give a fault in the user's words, or "". They never see an empty
// value: Load answers that one for all.

func parseNumber(v string, low, high int) (n int, fault string) {
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		return 0, fmt.Sprintf("must be a whole number from %d to %d", low, high)
	}
	return n, ""
}

// parseDuration takes bare seconds, with a fraction or without, or Go's syntax.
func parseDuration(v string, low, high time.Duration) (d time.Duration, fault string) {
	d, err := time.ParseDuration(v)
	if seconds, ok := parseDecimal(v); ok {
		err = nil
		// Compared before the conversion, which is undefined when out of range.
		if seconds > high.Seconds() {
			return 0, fmt.Sprintf("must be from %v to %v", low, high)
		}
		d = time.Duration(math.Round(seconds * float64(time.Second)))
	}
	if err != nil {
		return 0, "must be a duration: seconds such as 5 or 0.5, or with a unit such as 500ms or 1m30s"
	}
	if d < low || d > high {
		return 0, fmt.Sprintf("must be from %v to %v", low, high)
	}
	return d, ""
}

// parseDecimal takes plain decimals only, not the nan, inf, 0x1p4 and 1e9 that
// strconv would.
func parseDecimal(v string) (float64, bool) {
	if strings.Trim(v, "0123456789.") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(v, 64)
	return f, err == nil
}

var sizeUnits = []struct {
	suffix string
	bytes  int
}{{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"b", 1}, {"", 1}}

// parseSize takes bytes, or KiB, MiB, GiB in any case. KB and MB are refused:
// they mean two things.
func parseSize(v string, low, high int) (n int, fault string) {
	outside := fmt.Sprintf("must be from %s to %s", formatSize(low), formatSize(high))
	for _, unit := range sizeUnits {
		digits, found := strings.CutSuffix(strings.ToLower(v), unit.suffix)
		if !found {
			continue
		}
		digits = strings.TrimSpace(digits)
		if digits == "" || strings.Trim(digits, "0123456789") != "" {
			break
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n > high/unit.bytes || n*unit.bytes < low {
			return 0, outside
		}
		return n * unit.bytes, ""
	}
	return 0, "must be a size: bytes such as 65536, or with a unit such as 512KiB or 4MiB"
}

func formatSize(n int) string {
	switch {
	case n >= 1<<30 && n%(1<<30) == 0:
		return strconv.Itoa(n>>30) + "GiB"
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.Itoa(n>>20) + "MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.Itoa(n>>10) + "KiB"
	}
	return strconv.Itoa(n)
}

func checkListen(v string) (fault string) {
	_, port, err := net.SplitHostPort(v)
	if err != nil {
		return "must be host:port or :port, such as :9000 or 127.0.0.1:9000 (an IPv6 host in brackets: [::1]:9000)"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "must have a port from 0 to 65535 (0: any that is free)"
	}
	return ""
}

// orList is "a, b or c".
func orList(values []string) string {
	last := len(values) - 1
	return strings.Join(values[:last], ", ") + " or " + values[last]
}
