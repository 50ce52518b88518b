package deadletter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/protocol"
)

func runCommand(dir string, args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	code = Command(args, func(name string) (string, bool) { return dir, name == "DEAD_LETTER_DIR" }, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// sample is a folder with three waiting packets, one refused, and a damaged file.
func sample(t *testing.T) string {
	dir := t.TempDir()
	writeFile(t, dir, fileName(Waiting, 1_700_000_000_000_000), append(packet(0, 1), packet(1, 1)...))
	writeFile(t, dir, fileName(Waiting, 1_700_000_100_000_000), packet(2, 1))
	writeFile(t, dir, fileName(Refused, 1_700_000_200_000_000), packet(3, 1))
	writeFile(t, dir, "letters-1600000000000000.frames.bad", []byte("garbage"))
	return dir
}

func TestUsage(t *testing.T) {
	dir := sample(t)
	for _, tc := range []struct {
		args []string
		code int
		want string // on one of the outputs
	}{
		{[]string{"--help"}, 0, "list"},
		{[]string{"drop", "--help"}, 0, "--older-than"},
		{[]string{"replay", "--help"}, 0, "DEAD_LETTER_DIR"},
		{nil, 78, "list"},
		{[]string{"bury"}, 78, "bury"},
		{[]string{"list", "--nope"}, 78, "--nope"},
		{[]string{"drop", "--yes"}, 78, "needs one of"},
		{[]string{"drop", "--all", "--older-than", "1h"}, 78, "needs one of"},
		{[]string{"drop", "--older-than", "yesterday"}, 78, "must be a duration"},
		{[]string{"drop", "--older-than=-5", "--yes"}, 78, "must be a duration"},
		{[]string{"replay", "--give-up", "x"}, 78, "must be a duration"},
		{[]string{"drop", "--all"}, 78, "add --yes"},
		{[]string{"drop", "--yes", "../etc/passwd"}, 1, "no dead-letter file"},
		{[]string{"drop", "--yes", "lock"}, 1, "no dead-letter file"},
		{[]string{"list", "--dead-letter-dir", dir + "/nowhere"}, 1, "there is no folder"},
		{[]string{"replay", "--dead-letter-dir", dir + "/nowhere"}, 1, "there is no folder"},
		{[]string{"drop", "--all", "--dead-letter-dir", dir + "/nowhere"}, 1, "there is no folder"},
	} {
		code, out, errs := runCommand(dir, tc.args...)
		if code != tc.code || !strings.Contains(out+errs, tc.want) || (code == 0) != (errs == "") {
			t.Errorf("%q: exit %d\n%s%s", tc.args, code, out, errs)
		}
	}
	if _, names := onDisk(t, dir); len(names) != 4 {
		t.Errorf("left: %v", names)
	}
}

func TestList(t *testing.T) {
	dir := sample(t)
	s := openStore(t, Config{Dir: dir}, realDisk{}) // list works beside a server
	defer closeStore(t, s)
	keep(t, s, packet(4, 1), false)
	written(t, s)
	code, out, errs := runCommand(dir, "list", "-v")
	if code != 0 || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	t.Log("\n" + out)
	for _, want := range []string{"FILE", "letters-1700000000000000.frames", "waiting  2 ", "refused  1 ", "damaged  ?", "  p-4 ",
		"4 packets wait for delivery, the oldest since 2023-11-1", "1 was refused for ever", "1 file is damaged"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	_, out, _ = runCommand(dir, "list", "--json", "-v")
	var all listing
	if err := json.Unmarshal([]byte(out), &all); err != nil || all.Packets != 4 || all.RefusedPackets != 1 || all.DamagedFiles != 1 ||
		len(all.Files) != 5 || all.Files[1].Letters[1].PacketID != "p-1" || all.Files[1].Since.Unix() != 1_700_000_000 {
		t.Errorf("%v\n%s", err, out)
	}
	code, out, _ = runCommand(t.TempDir(), "list")
	if code != 0 || !strings.Contains(out, "no dead letters in") {
		t.Errorf("exit %d %s", code, out)
	}
}

func TestTextOfPacketsIsHarmless(t *testing.T) {
	for in, want := range map[string]string{"plain-1": "plain-1", "\x1b[2J": `"\x1b[2J"`, "é": "é"} {
		if got := plain(in); got != want {
			t.Errorf("%q: %s", in, got)
		}
	}
}

func TestDrop(t *testing.T) {
	dir := sample(t)
	s := openStore(t, Config{Dir: dir}, realDisk{})
	if code, _, errs := runCommand(dir, "drop", "--all", "--yes"); code != 1 || !strings.Contains(errs, fmt.Sprint(os.Getpid())) {
		t.Fatalf("dropped beside a server: exit %d %s", code, errs)
	}
	closeStore(t, s)
	refused := fileName(Refused, 1_700_000_200_000_000)
	if code, out, errs := runCommand(dir, "drop", "--yes", refused, filepath.Join(dir, fileName(Waiting, 1_700_000_100_000_000))); code != 0 || out != "dropped 2 files with 2 packets\n" {
		t.Fatalf("exit %d %s%s", code, out, errs)
	}
	if code, _, errs := runCommand(dir, "drop", "--yes", refused); code != 1 || !strings.Contains(errs, refused) {
		t.Errorf("exit %d %s", code, errs)
	}
	writeFile(t, dir, fileName(Waiting, 4_000_000_000_000_000), packet(9, 1)) // of the future
	if code, out, _ := runCommand(dir, "drop", "--yes", "--older-than", "7d"); code != 0 || !strings.HasPrefix(out, "dropped 2 files") {
		t.Errorf("exit %d %s", code, out)
	}
	if code, out, _ := runCommand(dir, "drop", "--yes", "--all"); code != 0 || out != "dropped 1 file with 1 packet\n" {
		t.Errorf("exit %d %s", code, out)
	}
	if code, out, _ := runCommand(dir, "drop", "--yes", "--all"); code != 0 || out != "nothing to drop\n" {
		t.Errorf("exit %d %s", code, out)
	}
}

// distributor welcomes one connection after the other and answers each frame:
// NACK with the code that answer gives, or an ACK.
func distributor(t *testing.T, answer func(id string) protocol.NackCode) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				frames := protocol.NewFrameReader(nc, 0)
				out := protocol.AppendWelcome(nil, protocol.Welcome{Version: protocol.Version, Frames: 4096, Bytes: 4 << 20, MaxFrame: 1 << 20})
				for n := uint64(0); ; {
					if _, err := nc.Write(out); err != nil {
						return
					}
					body, err := frames.Next()
					if err != nil {
						return
					}
					if out = out[:0]; protocol.IsControl(body[0]) {
						continue
					}
					n++
					if code := answer(idOf(t, protocol.AppendFrame(nil, body))); code != 0 {
						out = protocol.AppendNack(out, n, code, 0, "no", 1)
					}
					out = protocol.AppendAck(out, n, n+4096, 4<<20+n<<20)
				}
			}()
		}
	}()
	return ln.Addr().String()
}

func TestReplayCommand(t *testing.T) {
	dir := sample(t)
	got := make(chan string, 100)
	to := distributor(t, func(id string) protocol.NackCode { got <- id; return 0 })
	s := openStore(t, Config{Dir: dir}, realDisk{})
	if code, _, errs := runCommand(dir, "replay", "--to", to); code != 1 || !strings.Contains(errs, "stop it first") {
		t.Fatalf("beside a server: exit %d %s", code, errs)
	}
	closeStore(t, s)
	code, out, errs := runCommand(dir, "replay", "--to", to)
	if code != 0 || len(got) != 3 || !strings.Contains(out, "3 packets delivered, 0 left") {
		t.Errorf("exit %d, %d got\n%s%s", code, len(got), out, errs)
	}
	if _, names := onDisk(t, dir); len(names) != 2 {
		t.Errorf("left: %v", names)
	}
	if code, out, _ = runCommand(dir, "replay", "--to", to); code != 0 || !strings.Contains(out, "0 packets delivered, 0 left") {
		t.Errorf("exit %d %s", code, out)
	}

	for _, tc := range []struct {
		code    protocol.NackCode
		args    []string
		says    string
		left    int
		refused int
	}{
		{protocol.NackInvalid, nil, "2 packets delivered, 0 left, 1 refused for ever and kept", 0, 1},
		{protocol.NackUnauthorized, nil, "unauthorized", 1, 0},
		{protocol.NackUnavailable, []string{"--give-up", "300ms"}, "has the distributor an analyzer", 1, 0},
	} {
		dir := t.TempDir()
		writeFile(t, dir, fileName(Waiting, 5), bytes.Join([][]byte{packet(0, 1), packet(1, 1), packet(2, 1)}, nil))
		to := distributor(t, func(id string) protocol.NackCode {
			if id == "p-1" {
				return tc.code
			}
			return 0
		})
		code, out, errs := runCommand(dir, append([]string{"replay", "--to", to}, tc.args...)...)
		s := openStore(t, Config{Dir: dir}, realDisk{})
		if st := s.Status(); code != 1 || !strings.Contains(out+errs, tc.says) || (st.Packets > 0) != (tc.left > 0) || st.RefusedPackets != tc.refused {
			t.Errorf("%v: exit %d, %+v\n%s%s", tc.code, code, st, out, errs)
		}
		closeStore(t, s)
	}
}

func TestReplayCommandToNobody(t *testing.T) {
	dir := sample(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	code, out, errs := runCommand(dir, "replay", "--to", addr, "--give-up", "0.2")
	if code != 1 || !strings.Contains(out, "0 packets delivered, 3 left") || !strings.Contains(errs, "refused") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}
