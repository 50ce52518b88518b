package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
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
