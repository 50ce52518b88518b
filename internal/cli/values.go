package cli

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The readers below are how every program of Sluice reads what people write.
// Their errors say what was expected, begin with "must", and do not repeat the
// value, because the caller knows under which name it was given.

// MaxDuration is the upper bound of a duration that needs none: 100 years.
const MaxDuration = 100 * 365 * 24 * time.Hour

// MaxSize is the upper bound of a size that needs none: 1 PiB.
const MaxSize = 1 << 50

// Int reads a whole number from low to high.
func Int[T int | int64 | uint64](v string, low, high T) (T, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < int64(low) || n > int64(min(uint64(high), math.MaxInt64)) {
		return 0, fmt.Errorf("must be a whole number from %d to %d", low, high)
	}
	return T(n), nil
}

// Rate reads a number from low to high that may have a fraction.
func Rate(v string, low, high float64) (float64, error) {
	f, ok := decimal(v)
	if !ok || f < low || f > high {
		return 0, fmt.Errorf("must be a number from %s to %s, such as 20 or 0.5", plain(low), plain(high))
	}
	return f, nil
}

func plain(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

var errDuration = errors.New("must be a duration: seconds such as 5 or 0.5, or with a unit such as 500ms, 1m30s or 7d")

// Duration reads seconds (5, 0.5), a duration in Go's syntax (500ms, 1m30s) or
// days (7d), from low to high, rounded to a nanosecond.
func Duration(v string, low, high time.Duration) (time.Duration, error) {
	outside := func() error { return fmt.Errorf("must be from %v to %v", low, high) }
	number, unit := v, time.Second
	if days, found := strings.CutSuffix(v, "d"); found {
		number, unit = days, 24*time.Hour
	}
	d, err := time.ParseDuration(v)
	if amount, ok := decimal(number); ok {
		// Compared before the conversion, which is undefined when out of range.
		ns := math.Round(amount * float64(unit))
		if ns > float64(high) {
			return 0, outside()
		}
		d, err = time.Duration(ns), nil
	}
	if err != nil {
		return 0, errDuration
	}
	if d < low || d > high {
		return 0, outside()
	}
	return d, nil
}

// decimal reads plain decimals only, not the nan, inf, 0x1p4 and 1e9 that
// strconv would.
func decimal(v string) (float64, bool) {
	if strings.Trim(v, "0123456789.") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(v, 64)
	return f, err == nil
}

var sizeUnits = []struct {
	suffix string // in lower case
	bytes  int64
}{{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"b", 1}, {"", 1}}

var errSize = errors.New("must be a size: bytes such as 65536, or with a unit such as 512KiB or 4MiB (1KiB is 1024 bytes, 1kB is 1000)")

// Size reads bytes, or a number of KiB, MiB or GiB (powers of 1024) or of kB,
// MB or GB (powers of 1000), in any case, from low to high bytes.
func Size[T int | int64](v string, low, high T) (T, error) {
	v = strings.ToLower(strings.TrimSpace(v))
	for _, unit := range sizeUnits {
		digits, found := strings.CutSuffix(v, unit.suffix)
		if !found {
			continue
		}
		digits = strings.TrimSpace(digits)
		if digits == "" || strings.Trim(digits, "0123456789") != "" {
			break
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n > int64(high)/unit.bytes || n*unit.bytes < int64(low) {
			return 0, fmt.Errorf("must be from %s to %s", FormatSize(int64(low)), FormatSize(int64(high)))
		}
		return T(n * unit.bytes), nil
	}
	return 0, errSize
}

// FormatSize writes a number of bytes so that [Size] reads the same number.
func FormatSize(n int64) string {
	switch {
	case n >= 1<<30 && n%(1<<30) == 0:
		return strconv.FormatInt(n>>30, 10) + "GiB"
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + "KiB"
	}
	return strconv.FormatInt(n, 10)
}

// Bool reads yes or no in the usual spellings and any case.
func Bool(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "0", "f", "false", "n", "no", "off":
		return false, nil
	case "1", "t", "true", "y", "yes", "on":
		return true, nil
	}
	return false, errors.New("must be true or false")
}

// Pair is a label: KEY=VALUE. Immutable.
type Pair struct{ Key, Value string }

// ReadPair reads a label. The value may be empty, and may hold more signs of
// equality; the key may not be empty.
func ReadPair(v string) (Pair, error) {
	key, value, found := strings.Cut(v, "=")
	if !found || key == "" {
		return Pair{}, errors.New("must be KEY=VALUE")
	}
	return Pair{key, value}, nil
}

// OneOf accepts the values listed, spelled as they are.
func OneOf(v string, values []string) error {
	for _, allowed := range values {
		if v == allowed {
			return nil
		}
	}
	return errors.New("must be " + orList(values))
}

// orList is "a, b or c".
func orList(values []string) string {
	last := len(values) - 1
	if last == 0 {
		return values[0]
	}
	return strings.Join(values[:last], ", ") + " or " + values[last]
}
