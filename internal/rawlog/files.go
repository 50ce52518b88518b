package rawlog

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sluice/protocol"
)

const (
	// maxLines and maxLineBytes bound what ReadFiles keeps in memory: 200,000
	// lines are used in turn, and what is longer than 16 KiB is cut.
	maxLines     = 200_000
	maxLineBytes = 16 << 10
)

// ReadFiles makes a message of each line of the files that the patterns match,
// up to maxLines. A line that does not name its source has its file's name.
func ReadFiles(patterns []string, now time.Time) ([]protocol.LogMessage, error) {
	var out []protocol.LogMessage
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", pattern, err)
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%q: no such file", pattern)
		}
		for _, name := range files {
			if out, err = readFile(out, name, now); err != nil {
				return nil, fmt.Errorf("read lines: %w", err)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: the files have no lines", strings.Join(patterns, " "))
	}
	return out, nil
}

func readFile(out []protocol.LogMessage, name string, now time.Time) ([]protocol.LogMessage, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	source := filepath.Base(name)
	for in := bufio.NewReaderSize(f, maxLineBytes); len(out) < maxLines; {
		line, cut, err := in.ReadLine()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		text := string(line)
		for cut && err == nil {
			_, cut, err = in.ReadLine()
		}
		if text == "" {
			continue
		}
		m := Parse(text, now)
		if m.Source == "" {
			m.Source = source
		}
		out = append(out, m)
	}
	return out, nil
}
