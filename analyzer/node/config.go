package node

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sluice/protocol"
)

// Config says what one analyzer is. The zero value is valid but for Name.
type Config struct {
	Name     string
	Listen   string // TCP address for packets; default :9001
	HTTP     string // TCP address for /stats and /health; default :8001
	Receipts string // file that gets each packet_id; empty: none
	Output   string // file that gets each message as NDJSON; empty: none
	Discard  bool   // acknowledge without looking
	Delay    time.Duration
	MaxFrame int // bytes; 0: 1 MiB
	Logger   *slog.Logger
}

// Defaults of the two addresses.
const (
	DefaultListen = ":9001"
	DefaultHTTP   = ":8001"
)

// smallestMaxFrame is what still holds a packet worth sending; largest is what
// a connection's buffers may grow to.
const (
	smallestMaxFrame = 4 << 10
	largestMaxFrame  = 256 << 20
)

// Check returns all faults of the configuration at once, in the words of its
// flags, and nil if there is none.
func (c Config) Check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Name == "" {
		fault("--name (ANALYZER_NAME) is empty: give the analyzer a name, such as analyzer-1")
	} else if len(c.Name) > protocol.MaxIDBytes {
		fault("--name (ANALYZER_NAME) has %d bytes, at most %d are allowed", len(c.Name), protocol.MaxIDBytes)
	}
	for flag, address := range map[string]string{"--listen (LISTEN)": c.Listen, "--http (HTTP_LISTEN)": c.HTTP} {
		if problem := addressProblem(address); problem != "" {
			fault("%s %q: %s; want HOST:PORT or :PORT", flag, address, problem)
		}
	}
	if c.Discard && (c.Receipts != "" || c.Output != "") {
		fault("--discard (DISCARD) looks into no packet, so there is nothing for --receipts or --output to write")
	}
	for flag, path := range map[string]string{"--receipts (RECEIPTS)": c.Receipts, "--output (OUTPUT)": c.Output} {
		if path == "" {
			continue
		}
		if st, err := os.Stat(filepath.Dir(path)); err != nil || !st.IsDir() {
			fault("%s %q: there is no directory %s", flag, path, filepath.Dir(path))
		}
	}
	if c.Receipts != "" && c.Receipts == c.Output {
		fault("--receipts and --output are the same file")
	}
	if c.Delay < 0 {
		fault("--delay (ACK_DELAY) %s is negative", c.Delay)
	}
	if c.MaxFrame != 0 && (c.MaxFrame < smallestMaxFrame || c.MaxFrame > largestMaxFrame) {
		fault("--max-frame (MAX_FRAME_BYTES) is %d bytes, want 4KiB to 256MiB", c.MaxFrame)
	}
	return sorted(faults)
}

func addressProblem(address string) string {
	if address == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "no port in it"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "the port is no number from 0 to 65535"
	}
	return ""
}

// sorted joins faults in the order of their text, so that it does not change
// from run to run.
func sorted(faults []error) error {
	for i := range faults {
		for j := i; j > 0 && faults[j].Error() < faults[j-1].Error(); j-- {
			faults[j], faults[j-1] = faults[j-1], faults[j]
		}
	}
	return errors.Join(faults...)
}

// Texts is a configuration as it comes from flags and environment. Nothing in
// it was judged yet, so that one run can tell of every fault.
type Texts struct {
	Name, Listen, HTTP, Receipts, Output string
	Discard, Delay, MaxFrame             string
}

// Parse reads and checks a configuration. The error joins all faults.
func Parse(t Texts) (Config, error) {
	c := Config{Name: t.Name, Listen: t.Listen, HTTP: t.HTTP, Receipts: t.Receipts, Output: t.Output}
	var faults []error
	var err error
	if c.Discard, err = parseBool(t.Discard); err != nil {
		faults = append(faults, fmt.Errorf("--discard (DISCARD) %q: want true or false", t.Discard))
	}
	if c.Delay, err = ParseDelay(t.Delay); err != nil {
		faults = append(faults, fmt.Errorf("--delay (ACK_DELAY) %q: want seconds (5, 0.5) or a duration such as 500ms", t.Delay))
	}
	if c.MaxFrame, err = ParseSize(t.MaxFrame); err != nil {
		faults = append(faults, fmt.Errorf("--max-frame (MAX_FRAME_BYTES) %q: want bytes, or a size such as 512KiB or 1MiB", t.MaxFrame))
	}
	if err := c.Check(); err != nil {
		faults = append(faults, err)
	}
	return c, errors.Join(faults...)
}

var errForm = errors.New("not of that form")

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "", "0", "f", "false", "no", "off":
		return false, nil
	case "1", "t", "true", "yes", "on":
		return true, nil
	}
	return false, errForm
}

// ParseDelay reads bare seconds or Go's syntax; empty is 0.
func ParseDelay(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if f = f * float64(time.Second); !(math.Abs(f) < math.MaxInt64) {
			return 0, errForm
		}
		return time.Duration(f), nil
	}
	return time.ParseDuration(s)
}

// ParseSize reads a number of bytes, or of KiB, MiB or GiB; empty is 0.
func ParseSize(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	number, unit := strings.TrimSpace(s), 0
	for _, u := range []struct {
		name  string
		shift int
	}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"B", 0}} {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.shift
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || n == 0 {
		return 0, errForm
	}
	return int(min(n<<unit, math.MaxInt64)), nil
}
