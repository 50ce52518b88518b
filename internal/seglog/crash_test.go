package seglog

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// segmentOf builds a segment: groups of batches that were synced together, a
// block each.
func segmentOf(sequence int64, groups ...[]string) (data []byte, ends []int) {
	data = appendSegmentHeader(nil, sequence)
	ends = []int{len(data)}
	for _, g := range groups {
		durable := int64(len(data))
		for _, text := range g {
			data = appendBatch(data, sequence, durable, []uint32{uint32(len(text))}, []byte(text))
			ends = append(ends, len(data))
		}
	}
	return data, ends
}

func place(t testing.TB, dir string, sequence int64, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, segmentName("log", sequence)), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A crash leaves the last segment written up to any byte, with zeros behind it:
// what was durable is there, and nothing is made up.
func TestCrashAtAnyByte(t *testing.T) {
	data, ends := segmentOf(7, []string{"one"}, []string{"two", "three"}, []string{"four"})
	words := []string{"one", "two", "three", "four"}
	for cut := range len(data) + 1 {
		for _, zeros := range []int{0, 4096} {
			dir := t.TempDir()
			torn := append(bytes.Clone(data[:cut]), make([]byte, zeros)...)
			place(t, dir, 7, torn)
			l := openLog(t, dir, nil, nil)
			whole := 0
			for whole < 4 && ends[whole+1] <= cut+zeros && bytes.Equal(append(bytes.Clone(data[:cut]), make([]byte, zeros)...)[:ends[whole+1]], data[:ends[whole+1]]) {
				whole++
			}
			texts, _ := all(l)
			if st := l.Status(); fmt.Sprint(texts) != fmt.Sprint(words[:whole]) || st.Blocks != whole || cut >= segmentHeaderBytes && st.Damaged != 0 {
				t.Fatalf("cut %d with %d zeros: %v, %+v", cut, zeros, texts, st)
			}
			closeLog(t, l)
		}
	}
}

// Of what was not synced, any part may be on the disk: the first batch of a
// group is missing and the second is there.
func TestHoleInWhatWasNotSynced(t *testing.T) {
	dir := t.TempDir()
	data, ends := segmentOf(7, []string{"one"}, []string{"two", "three"})
	clear(data[ends[1]:ends[2]])
	place(t, dir, 7, data)
	l := openLog(t, dir, nil, nil)
	if texts, _ := all(l); fmt.Sprint(texts) != "[one]" || l.Status().Damaged != 0 {
		t.Errorf("%v, %+v", texts, l.Status())
	}
}

// Every byte of what was durable is flipped in turn: at most the block that it
// is in is missing, it is told, and the file is kept.
func TestFlippedByte(t *testing.T) {
	data, ends := segmentOf(7, []string{"one"}, []string{"two"}, []string{"three"})
	data = appendBatch(data, 7, int64(len(data)), nil, nil) // sealed
	words := []string{"one", "two", "three"}
	for at := range ends[3] {
		if at >= 20 && at < 28 {
			continue // reserved
		}
		dir := t.TempDir()
		bad := bytes.Clone(data)
		bad[at] ^= 0x40
		place(t, dir, 7, bad)
		l := openLog(t, dir, nil, nil)
		texts, ids := all(l)
		missing := 0
		for i, w := range words {
			if !bytes.Contains(fmt.Append(nil, texts), []byte(w)) {
				missing++
				if at >= segmentHeaderBytes && (at < ends[i] || at >= ends[i+1]) {
					t.Fatalf("byte %d: %q is missing", at, w)
				}
			}
		}
		if err := l.NewReader().Settle(ids); err != nil {
			t.Fatal(err)
		}
		if st := l.Status(); st.Blocks != 0 || (missing > 0) != (st.Damaged == 1) {
			t.Fatalf("byte %d: %d missing, %+v", at, missing, st)
		}
		closeLog(t, l)
		if aside, _ := filepath.Glob(filepath.Join(dir, "*.bad")); missing > 0 {
			if got, err := os.ReadFile(aside[0]); err != nil || len(got) != len(bad) {
				t.Fatalf("byte %d: %v %v", at, aside, err)
			}
		}
	}
}

func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		place(t, dir, 5, fmt.Appendf(nil, "garbage number %d, longer than a header is", i))
		closeLog(t, openLog(t, dir, nil, nil))
	}
	data, _ := segmentOf(7, []string{"one"})
	place(t, dir, 9, data) // copied to another name
	l := openLog(t, dir, nil, nil)
	if aside, _ := filepath.Glob(filepath.Join(dir, "*.bad*")); len(aside) != 4 || l.Status().Damaged != 4 {
		t.Errorf("%v %+v", aside, l.Status())
	}
}

// No single flipped bit of a mark settles a block.
func TestMarks(t *testing.T) {
	for m := range uint8(settledMark + 1) {
		if decodeMark(encodeMark(m)) != m {
			t.Errorf("mark %d", m)
		}
		for bit := range 8 {
			if m != settledMark && decodeMark(encodeMark(m)^1<<bit) == settledMark || decodeMark(1<<bit) == settledMark {
				t.Errorf("mark %d, bit %d", m, bit)
			}
		}
	}
}

// A small file system, filled by somebody else after the promises were given.
func TestRealFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: cannot mount a small file system (needs root): %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
	})
	l := openLog(t, dir, nil, func(c *Config) { c.SegmentBytes = 256 << 10 })
	n := 0
	for n < 500 {
		if l.TryReserve(200) {
			n++
		}
	}
	fillDisk(t, filepath.Join(dir, "other"))
	for range 100_000 {
		if l.TryReserve(200) {
			n++
		}
	}
	for i := range n {
		l.Append(fmt.Appendf(nil, "%0200d", i), nil)
	}
	durable(t, l)
	closeLog(t, l)
	l = openLog(t, dir, nil, nil)
	texts, ids := all(l)
	if len(texts) != n {
		t.Fatalf("%d of %d", len(texts), n)
	}
	if err := l.NewReader().Settle(ids); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
}

func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 4 << 10} {
		for {
			if _, err := f.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
}
