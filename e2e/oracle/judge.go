package oracle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"sluice/protocol"
	"sluice/server/deadletter"
)

// Judgement compares what agents were told with what analyzers wrote down.
type Judgement struct {
	Issued, Acked int
	Lost          int // acknowledged, in no receipts and no dead letter
	Dup           int // deliveries of a packet beyond its first
	Strangers     int // receipts of what no agent issued
	Torn          int // lines that a kill cut
	DeadLetters   int // packets in dead-letter files
	Unlike        int // messages that differ from what was sent
	Lines         int // messages compared
	Some          []string
}

func (j *Judgement) note(format string, args ...any) {
	if len(j.Some) < 8 {
		j.Some = append(j.Some, fmt.Sprintf(format, args...))
	}
}

// tally counts deliveries, by agent and packet.
type tally [][]uint8

func (o *Oracle) newTally() tally {
	var t tally
	for _, b := range o.all() {
		b.mu.Lock()
		t = append(t, make([]uint8, len(b.fates)))
		b.mu.Unlock()
	}
	return t
}

func (t tally) add(agent, n int) (first, known bool) {
	if agent >= len(t) || n >= len(t[agent]) {
		return false, false
	}
	p := &t[agent][n]
	if *p < 255 {
		*p++
	}
	return *p == 1, true
}

// Judge reads receipts, output and dead letters. It is to be called when all is
// quiet.
func (o *Oracle) Judge(receipts, outputs, deadLetters []string) (Judgement, error) {
	var j Judgement
	got, written, kept := o.newTally(), o.newTally(), o.newTally()
	for _, path := range receipts {
		if err := eachLine(path, func(line []byte) { j.receipt(got, line) }); err != nil {
			return j, err
		}
	}
	for _, path := range outputs {
		if err := eachLine(path, func(line []byte) { j.message(written, line) }); err != nil {
			return j, err
		}
	}
	for _, dir := range deadLetters {
		if err := j.letters(kept, dir); err != nil {
			return j, err
		}
	}
	for a, b := range o.all() {
		b.mu.Lock()
		j.Issued += len(b.fates)
		for n, f := range b.fates {
			if f == acked {
				j.Acked++
				if got[a][n] == 0 && kept[a][n] == 0 {
					j.Lost++
					j.note("%s was acknowledged and is in no receipts", AppendID(nil, a, n))
				}
			}
			if len(outputs) > 0 && got[a][n] > 0 && written[a][n] == 0 {
				j.Unlike++
				j.note("%s has a receipt and no message", AppendID(nil, a, n))
			}
		}
		b.mu.Unlock()
	}
	return j, nil
}

func (j *Judgement) receipt(got tally, line []byte) {
	agent, n, ok := ParseID(line)
	if !ok {
		j.Torn++
		return
	}
	switch first, known := got.add(agent, n); {
	case !known:
		j.Strangers++
		j.note("%s is in the receipts, and was never issued", line)
	case !first:
		j.Dup++
	}
}

// message compares a line of an analyzer's output with what its id says.
func (j *Judgement) message(written tally, line []byte) {
	var m struct {
		PacketID  string         `json:"packet_id"`
		AgentID   string         `json:"agent_id"`
		Timestamp time.Time      `json:"timestamp"`
		Level     protocol.Level `json:"level"`
		Source    string         `json:"source"`
		Message   string         `json:"message"`
		Metadata  map[string]any `json:"metadata"`
	}
	if json.Unmarshal(line, &m) != nil {
		j.Torn++
		return
	}
	j.Lines++
	agent, n, ok := ParseID([]byte(m.PacketID))
	if !ok {
		j.Strangers++
		return
	}
	written.add(agent, n)
	want := ContentOf(agent, n)
	if m.AgentID != want.Agent || m.Timestamp.Unix() != want.Seconds || m.Level != want.Level || m.Source != "e2e" ||
		m.Message != want.Text || len(m.Metadata) != 1 || m.Metadata["mark"] != want.Mark {
		j.Unlike++
		j.note("not as it was sent: %s", line)
	}
}

// letters counts the packets in a folder of dead letters.
func (j *Judgement) letters(kept tally, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	files, err := deadletter.Survey(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	for _, f := range files {
		err := f.Each(dir, func(frame, _ []byte) error {
			var s protocol.Scanned
			if len(frame) > protocol.HeaderSize && protocol.Scan(frame[protocol.HeaderSize:], &s) == nil {
				if agent, n, ok := ParseID(s.PacketID); ok {
					kept.add(agent, n)
				}
			}
			j.DeadLetters++
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachLine gives the lines of a file, which need not exist.
func eachLine(path string, each func(line []byte)) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := r.ReadSlice('\n')
		if line = bytes.TrimSuffix(line, []byte{'\n'}); len(line) > 0 {
			each(line)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", path, err)
		}
	}
}
