package deadletter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/await"
)

func writeFile(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func deliverAll(t *testing.T, s *Store) []string {
	t.Helper()
	to := newTarget(t)
	end := replaying(s, to)
	await.True(t, "delivered", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.letters) == 0
	})
	end()
	return to.got
}

// A crash leaves the newest file cut anywhere: its whole frames are delivered,
// the torn one is cut off, and nothing else is touched.
func TestCrashAtAnyCut(t *testing.T) {
	var whole []byte
	ends := []int{0}
	for i := range 4 {
		whole = append(whole, packet(i, i*20)...)
		ends = append(ends, len(whole))
	}
	for cut := range len(whole) + 1 {
		dir := t.TempDir()
		writeFile(t, dir, fileName(Waiting, 5), whole[:ends[1]])
		path := writeFile(t, dir, fileName(Waiting, 7), whole[:cut])
		var log logged
		s := openStore(t, Config{Dir: dir, Log: log.logger()}, realDisk{})
		n := 0
		for ends[n+1:] != nil && n+1 < len(ends) && ends[n+1] <= cut {
			n++
		}
		st, err := os.Stat(path)
		if n == 0 && err == nil || n > 0 && (err != nil || st.Size() != int64(ends[n])) {
			t.Fatalf("cut %d: %v %v", cut, st, err)
		}
		torn := log.count("cut off") + log.count("set aside")
		if got := s.Status(); got.Packets != n+1 || (torn > 0) != (cut != ends[n]) || got.DamagedFiles != 0 {
			t.Fatalf("cut %d: %+v\n%s", cut, got, log.buf.String())
		}
		want := "p-0"
		for i := range n {
			want += fmt.Sprintf(" p-%d", i)
		}
		if got := strings.Join(deliverAll(t, s), " "); got != want {
			t.Fatalf("cut %d: %s, want %s", cut, got, want)
		}
		closeStore(t, s)
	}
}

func TestDamage(t *testing.T) {
	good := bytes.Join([][]byte{packet(0, 1), packet(1, 1)}, nil)
	huge := binary.BigEndian.AppendUint32(nil, maxFrameBytes+1)
	for name, tc := range map[string]struct {
		data      []byte
		delivered string
		aside     bool
		refused   int
	}{
		"garbage from the start":   {[]byte("this is no file of frames at all"), "", true, 0},
		"zeros after a power cut":  {append(bytes.Clone(good), make([]byte, 4096)...), "p-0 p-1", true, 0},
		"an impossible length":     {append(append(bytes.Clone(good), huge...), good...), "p-0 p-1", true, 0},
		"torn, and not the newest": {good[:len(good)-1], "p-0", true, 0},
		"a body that is no packet": {append(append(bytes.Clone(good), 0, 0, 0, 3, 'a', 'b', 'c'), packet(2, 1)...), "p-0 p-1 p-2", false, 1},
		"a control frame":          {append(append(bytes.Clone(good), 0, 0, 0, 2, 0x91, 1), packet(2, 1)...), "p-0 p-1 p-2", false, 1},
		"longer than MaxFrame":     {append(packet(0, 5000), good...), "p-0 p-1", false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var log logged
			dir := t.TempDir()
			writeFile(t, dir, fileName(Waiting, 5), tc.data)
			writeFile(t, dir, fileName(Waiting, 6), packet(9, 1))
			s := openStore(t, Config{Dir: dir, MaxFrame: 4096, Log: log.logger()}, realDisk{})
			got := strings.Join(deliverAll(t, s), " ")
			if got != strings.TrimSpace(tc.delivered+" p-9") {
				t.Errorf("delivered %s", got)
			}
			st := s.Status()
			if st.RefusedPackets != tc.refused || (st.DamagedFiles == 1) != tc.aside || st.Packets != 0 || s.used.Load() != st.Bytes {
				t.Errorf("%+v, %d in use", st, s.used.Load())
			}
			aside, err := os.ReadFile(filepath.Join(dir, "letters-0000000000000005.frames.bad"))
			if tc.aside && !bytes.Equal(aside, tc.data) || !tc.aside && err == nil {
				t.Errorf("set aside: %q %v", aside, err)
			}
			closeStore(t, s)
			lines := log.count("level=WARN")
			closeStore(t, openStore(t, Config{Dir: dir, MaxFrame: 4096, Log: log.logger()}, realDisk{}))
			if log.count("level=WARN") != lines {
				t.Errorf("logged again:\n%s", log.buf.String())
			}
		})
	}
}

func TestSetAsideOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		writeFile(t, dir, fileName(Waiting, 5), []byte(fmt.Sprintf("garbage number %d", i)))
		closeStore(t, openStore(t, Config{Dir: dir}, realDisk{}))
	}
	if _, names := onDisk(t, dir); len(names) != 3 {
		t.Errorf("%v", names)
	}
}

func TestCursors(t *testing.T) {
	frames := [][]byte{packet(0, 1), packet(1, 30), packet(2, 1)}
	whole := bytes.Join(frames, nil)
	one, all := int64(len(frames[0])), int64(len(whole))
	for name, tc := range map[string]struct {
		cursor string // or made for offset
		offset int64
		want   string
	}{
		"at a frame":      {"", one, "p-1 p-2"},
		"at the end":      {"", all, ""},
		"inside a frame":  {"", one + 1, "p-0 p-1 p-2"},
		"behind the end":  {`{"offset":100000,"head":0}`, 0, "p-0 p-1 p-2"},
		"below zero":      {`{"offset":-5,"head":0}`, 0, "p-0 p-1 p-2"},
		"of another file": {fmt.Sprintf(`{"offset":%d,"head":1}`, one), 0, "p-0 p-1 p-2"},
		"empty":           {" ", 0, "p-0 p-1 p-2"},
		"no JSON":         {"{\x00\x00", 0, "p-0 p-1 p-2"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, dir, fileName(Waiting, 5), whole)
			if tc.cursor == "" {
				if err := saveCursor(realDisk{}, dir, fileName(Waiting, 5), bytes.NewReader(whole), tc.offset); err != nil {
					t.Fatal(err)
				}
			} else {
				writeFile(t, dir, cursorName(fileName(Waiting, 5)), []byte(tc.cursor))
			}
			s := openStore(t, Config{Dir: dir}, realDisk{})
			if n := len(strings.Fields(tc.want)); s.Status().Packets != n {
				t.Errorf("%+v, want %d", s.Status(), n)
			}
			if got := strings.Join(deliverAll(t, s), " "); got != tc.want {
				t.Errorf("delivered %q, want %q", got, tc.want)
			}
			closeStore(t, s)
			if left, _ := filepath.Glob(filepath.Join(dir, "letters*")); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// A cursor whose file is gone must not be believed of a later file.
func TestOrphansAreRemoved(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{cursorName(fileName(Waiting, 5)), cursorName(fileName(Waiting, 6)) + suffixTemp} {
		writeFile(t, dir, name, []byte(`{"offset":10}`))
	}
	other := writeFile(t, dir, "notes.txt", []byte("of somebody else"))
	if err := os.Mkdir(filepath.Join(dir, fileName(Waiting, 8)), 0o700); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, Config{Dir: dir}, realDisk{})
	if left, _ := filepath.Glob(filepath.Join(dir, "*.cursor*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := os.Stat(other); err != nil || s.Status().Packets != 0 || !s.Status().Writable {
		t.Errorf("%v %+v", err, s.Status())
	}
}
