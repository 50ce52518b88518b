package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reader reads the texts of flags and collects every fault.
type reader struct {
	faults []error
	bad    []string // flags that were told already
}

func (r *reader) fault(name, value, want string) {
	r.bad = append(r.bad, name)
	r.faults = append(r.faults, fmt.Errorf("--%s (%s) %q: want %s", name, envOf(name), value, want))
}

// others are the faults that are about flags whose text could be read.
func (r *reader) others(err error) []error {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	return slices.DeleteFunc(slices.Clone(all), func(e error) bool {
		return slices.ContainsFunc(r.bad, func(name string) bool { return strings.Contains(e.Error(), "--"+name) })
	})
}

func (r *reader) choice(name, value string, of ...string) string {
	if !slices.Contains(of, value) {
		r.fault(name, value, strings.Join(of, " or "))
	}
	return value
}

func (r *reader) yes(name, value string) bool {
	switch strings.ToLower(value) {
	case "", "0", "f", "false", "no", "off":
		return false
	case "1", "t", "true", "yes", "on":
		return true
	}
	r.fault(name, value, "true or false")
	return false
}

func (r *reader) number(name, value string) int {
	n, err := strconv.Atoi(value)
	if err != nil {
		r.fault(name, value, "a number")
	}
	return n
}

func (r *reader) time(name, value string) time.Duration {
	if s, err := strconv.ParseFloat(value, 64); err == nil {
		if math.Abs(s) < 1e9 {
			return time.Duration(s * float64(time.Second))
		}
	} else if d, err := time.ParseDuration(value); err == nil {
		return d
	}
	r.fault(name, value, "seconds or a time with a unit, as in 5, 0.5, 500ms, 2m")
	return 0
}

func (r *reader) size(name, value string) int {
	number, unit := strings.TrimSpace(value), 1
	for _, u := range []struct {
		name  string
		bytes int
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}} {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.Atoi(number)
	if err == nil && (n < 0 || n > 1<<40/unit) {
		err = errors.New("out of range")
	}
	if err != nil {
		r.fault(name, value, "bytes or a size with a unit, as in 200, 64KiB, 1MiB")
	}
	return n * unit
}
