package checkpoint

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The events of a journal.
const (
	opFile  = "file"
	opCut   = "cut"
	opAck   = "ack"
	opRecut = "recut"
)

// event is one line of a journal. Applying one twice is the same as once, so a
// journal that a picture already covers does no harm.
type event struct {
	Op     string
	ID     string
	Offset int64
	Sum    uint64
	File   *File
}

// appendTo writes the event as a line: "cut ID OFFSET", "ack ID OFFSET SUM",
// "recut ID", "file JSON".
func (e *event) appendTo(b []byte) []byte {
	b = append(b, e.Op...)
	b = append(b, ' ')
	if e.Op == opFile {
		text, err := json.Marshal(e.File)
		if err != nil {
			panic(err) // a File holds nothing that JSON lacks
		}
		return append(append(b, text...), '\n')
	}
	b = append(b, e.ID...)
	if e.Op != opRecut {
		b = strconv.AppendInt(append(b, ' '), e.Offset, 10)
	}
	if e.Op == opAck {
		b = strconv.AppendUint(append(b, ' '), e.Sum, 10)
	}
	return append(b, '\n')
}

// apply reads one line and does what it says. With s.mu, or before anybody else
// has the store.
func (s *Store) apply(line string) error {
	op, rest, _ := strings.Cut(line, " ")
	if op == opFile {
		f := &File{}
		if err := json.Unmarshal([]byte(rest), f); err != nil {
			return err
		}
		// A journal older than the picture must not set back what it knows.
		if have := s.files[f.ID]; have == nil || have.Acked <= f.Acked {
			s.files[f.ID] = f
		}
		return nil
	}
	words := strings.Fields(rest)
	want := map[string]int{opCut: 2, opAck: 3, opRecut: 1}[op]
	if want == 0 || len(words) != want {
		return fmt.Errorf("journal line %q", line)
	}
	if op == opRecut {
		if f := s.files[words[0]]; f != nil {
			f.Cuts = nil
		}
		return nil
	}
	offset, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		return err
	}
	if op == opCut {
		s.cutAt(words[0], offset)
		return nil
	}
	sum, err := strconv.ParseUint(words[2], 10, 64)
	if err != nil {
		return err
	}
	s.ack(words[0], offset, sum)
	return nil
}

// record appends an event and hands it to the kernel. With s.mu.
func (s *Store) record(e event) {
	s.append(e)
	s.flush()
}

func (s *Store) append(e event) {
	s.dirty = true
	if s.dir != "" {
		s.buf = e.appendTo(s.buf)
	}
}

// flush writes what was appended. A journal that cannot be written does not stop
// the shipping: nothing is lost without it, but after a crash packets may be
// sent again with other ids. With s.mu.
func (s *Store) flush() {
	if len(s.buf) == 0 || s.journal == nil {
		s.buf = s.buf[:0]
		return
	}
	n, err := s.journal.Write(s.buf)
	s.begun = s.begun || n > 0
	s.buf = s.buf[:0]
	s.failed(err)
}

// failed notes and tells a change between writing and not being able to.
func (s *Store) failed(err error) {
	if (err != nil) == s.failing {
		return
	}
	s.failing = err != nil
	if err != nil {
		s.log.Error("the state cannot be written; packets may be sent again with other ids after a crash", "folder", s.dir, "error", err)
	} else {
		s.log.Info("the state is written again", "folder", s.dir)
	}
}

func journalName(n uint64) string { return fmt.Sprintf("journal.%d", n) }

// journals returns the numbers of the journals in the folder, ascending.
func (s *Store) journals() ([]uint64, error) {
	names, err := filepath.Glob(filepath.Join(s.dir, "journal.*"))
	if err != nil {
		return nil, err
	}
	var out []uint64
	for _, name := range names {
		if n, err := strconv.ParseUint(strings.TrimPrefix(filepath.Base(name), "journal."), 10, 64); err == nil {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// replay applies a journal. A last line without an end was cut off by a crash
// before anything that it announced was done.
func (s *Store) replay(n uint64) error {
	f, err := os.Open(filepath.Join(s.dir, journalName(n)))
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	passed := 0
	defer func() {
		if passed > 0 {
			s.log.Warn("lines of the journal were passed over", "journal", n, "lines", passed)
		}
	}()
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.apply(strings.TrimSuffix(line, "\n")); err != nil {
			passed++
		}
	}
}
