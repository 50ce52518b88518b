package oracle

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice/analyzer/record"
	"sluice/protocol"
)

func TestIDs(t *testing.T) {
	id := AppendID(nil, 12, 345)
	if agent, n, ok := ParseID(id); !ok || agent != 12 || n != 345 || len(id) != IDSize {
		t.Errorf("%s: %d, %d, %v", id, agent, n, ok)
	}
	for _, bad := range []string{"", string(id[:14]), string(id) + "0", "b" + string(id[1:]), "a0012-00000034x"} {
		if _, _, ok := ParseID([]byte(bad)); ok {
			t.Errorf("%q is no id", bad)
		}
	}
}

// What must not be is seen: one packet lost, one delivered twice, one changed,
// one of a stranger, and a torn line that is nobody's.
func TestJudgeSees(t *testing.T) {
	dir := t.TempDir()
	var o Oracle
	b := o.NewBook()
	var receipts, output []byte
	for n := range 10 {
		b.Issue()
		p := PacketOf(0, n)
		switch n {
		case 3: // lost
			continue
		case 5:
			receipts = append(receipts, "a0000-000000005\n"...) // twice
		case 7:
			p.Messages[0].Message += "x" // changed
		}
		receipts = append(append(receipts, p.PacketID...), '\n')
		output = record.AppendMessages(output, []byte(p.PacketID), []byte(p.AgentID), protocol.AppendPacket(nil, &p), time.Time{})
	}
	for n := range 9 {
		b.Acked(n) // the last one has no answer
	}
	receipts = append(receipts, "a0009-000000001\na0000-0000\n"...)
	path := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	files := []string{path("receipts", receipts), filepath.Join(dir, "of an analyzer that never started")}
	j, err := o.Judge(files, []string{path("output", output)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if j.Issued != 10 || j.Acked != 9 || j.Lost != 1 || j.Dup != 1 || j.Unlike != 1 || j.Strangers != 1 || j.Torn != 1 || j.Lines != 9 {
		t.Errorf("%+v", j)
	}
	// A dead letter is not lost.
	letters := filepath.Join(dir, "letters")
	if err := os.Mkdir(letters, 0o755); err != nil {
		t.Fatal(err)
	}
	lost := PacketOf(0, 3)
	letter := protocol.AppendFrame(nil, protocol.AppendPacket(nil, &lost))
	path("letters/letters-0000000000000001.frames", letter)
	if j, err = o.Judge(files, nil, []string{letters}); err != nil || j.Lost != 0 || j.DeadLetters != 1 {
		t.Errorf("with the dead letter: %+v, %v", j, err)
	}
	if b.Acked(2); b.count != 1 {
		t.Errorf("a second answer: %d faults", b.count)
	}
}
