package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/await"
	"sluice/internal/cli"
	"sluice/protocol"
	"sluice/server/deadletter"
)

func runCommand(dir string, args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	code = Run(args, cli.Environ{"DEAD_LETTER_DIR=" + dir}, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// packet is a valid frame.
func packet(n int) []byte {
	return protocol.AppendFrame(nil, protocol.AppendPacket(nil, &protocol.LogPacket{
		PacketID: fmt.Sprintf("p-%d", n), AgentID: "a", Messages: []protocol.LogMessage{{Level: "INFO", Source: "s", Message: "x"}},
	}))
}

func openStore(t *testing.T, dir string) *deadletter.Store {
	t.Helper()
	s, err := deadletter.Open(deadletter.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t *testing.T, s *deadletter.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

func keep(t *testing.T, s *deadletter.Store, frame []byte, final bool) {
	t.Helper()
	await.True(t, "space", func() bool { return s.TryReserve(len(frame)) })
	s.Put(frame, final)
	await.True(t, "written", func() bool { return s.Status().ReservedBytes == 0 })
}

// sample is a folder with three waiting packets in two files, one refused, and
// a damaged file.
func sample(t *testing.T) string {
	dir := t.TempDir()
	s := openStore(t, dir)
	keep(t, s, packet(0), false)
	keep(t, s, packet(1), false)
	keep(t, s, packet(3), true)
	closeStore(t, s)
	s = openStore(t, dir)
	keep(t, s, packet(2), false)
	closeStore(t, s)
	if err := os.WriteFile(filepath.Join(dir, "letters-1600000000000000.frames.bad"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// names are the files of a folder that hold something.
func names(t *testing.T, dir string) map[deadletter.Kind][]string {
	t.Helper()
	files, err := look(dir, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	all := map[deadletter.Kind][]string{}
	for _, f := range files {
		all[f.Kind] = append(all[f.Kind], f.Name)
	}
	return all
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
	if n := names(t, dir); len(n[deadletter.Waiting]) != 2 || len(n[deadletter.Refused]) != 1 || len(n[deadletter.Damaged]) != 1 {
		t.Errorf("left: %v", n)
	}
}

func TestList(t *testing.T) {
	dir := sample(t)
	s := openStore(t, dir) // list works beside a server
	defer closeStore(t, s)
	keep(t, s, packet(4), false)
	code, out, errs := runCommand(dir, "list", "-v")
	if code != 0 || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	t.Log("\n" + out)
	for _, want := range []string{"FILE", names(t, dir)[deadletter.Waiting][0], "waiting  2 ", "refused  1 ", "damaged  ?", "  p-4 ",
		"4 packets wait for delivery, the oldest since ", "1 was refused for ever", "1 file is damaged"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	_, out, _ = runCommand(dir, "list", "--json", "-v")
	var all listing
	if err := json.Unmarshal([]byte(out), &all); err != nil || all.Packets != 4 || all.RefusedPackets != 1 || all.DamagedFiles != 1 ||
		len(all.Files) != 5 || all.Files[0].Kind != deadletter.Damaged || all.Files[0].Since.Unix() != 1_600_000_000 || all.Files[1].Letters[1].PacketID != "p-1" {
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
	s := openStore(t, dir)
	if code, _, errs := runCommand(dir, "drop", "--all", "--yes"); code != 1 || !strings.Contains(errs, fmt.Sprint(os.Getpid())) {
		t.Fatalf("dropped beside a server: exit %d %s", code, errs)
	}
	closeStore(t, s)
	n := names(t, dir)
	refused := n[deadletter.Refused][0]
	if code, out, errs := runCommand(dir, "drop", "--yes", refused, filepath.Join(dir, n[deadletter.Waiting][1])); code != 0 || out != "dropped 2 files with 2 packets\n" {
		t.Fatalf("exit %d %s%s", code, out, errs)
	}
	if code, _, errs := runCommand(dir, "drop", "--yes", refused); code != 1 || !strings.Contains(errs, refused) {
		t.Errorf("exit %d %s", code, errs)
	}
	if code, out, _ := runCommand(dir, "drop", "--yes", "--older-than", "7d"); code != 0 || !strings.HasPrefix(out, "dropped 1 file") {
		t.Errorf("exit %d %s", code, out)
	}
	if code, out, _ := runCommand(dir, "drop", "--yes", "--all"); code != 0 || out != "dropped 1 file with 2 packets\n" {
		t.Errorf("exit %d %s", code, out)
	}
	if code, out, _ := runCommand(dir, "drop", "--yes", "--all"); code != 0 || out != "nothing to drop\n" {
		t.Errorf("exit %d %s", code, out)
	}
}

// Files of the last release are listed and dropped before they are taken over.
func TestLastRelease(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../testdata/release1")); err != nil {
		t.Fatal(err)
	}
	code, out, errs := runCommand(dir, "list", "-v")
	if code != 0 || !strings.Contains(out, "5 packets wait") || !strings.Contains(out, "p-7") || strings.Contains(out, "p-1 ") {
		t.Fatalf("exit %d %s%s", code, out, errs)
	}
	if code, out, errs := runCommand(dir, "drop", "--yes", "--all"); code != 0 || !strings.HasPrefix(out, "dropped 3 files with 6 packets") {
		t.Errorf("exit %d %s%s", code, out, errs)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*-*")); len(left) != 0 {
		t.Errorf("left: %v", left)
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
					if code := answer(idOf(body)); code != 0 {
						out = protocol.AppendNack(out, n, code, 0, "no", 1)
					}
					out = protocol.AppendAck(out, n, n+4096, 4<<20+n<<20)
				}
			}()
		}
	}()
	return ln.Addr().String()
}

func idOf(body []byte) string {
	var s protocol.Scanned
	if err := protocol.Scan(body, &s); err != nil {
		return err.Error()
	}
	return string(s.PacketID)
}

func TestReplayCommand(t *testing.T) {
	dir := sample(t)
	got := make(chan string, 100)
	to := distributor(t, func(id string) protocol.NackCode { got <- id; return 0 })
	s := openStore(t, dir)
	if code, _, errs := runCommand(dir, "replay", "--to", to); code != 1 || !strings.Contains(errs, "stop it first") {
		t.Fatalf("beside a server: exit %d %s", code, errs)
	}
	closeStore(t, s)
	code, out, errs := runCommand(dir, "replay", "--to", to)
	if code != 0 || len(got) != 3 || !strings.Contains(out, "3 packets delivered, 0 left") {
		t.Errorf("exit %d, %d got\n%s%s", code, len(got), out, errs)
	}
	if n := names(t, dir); len(n[deadletter.Waiting]) != 0 || len(n[deadletter.Refused]) != 1 || len(n[deadletter.Damaged]) != 1 {
		t.Errorf("left: %v", n)
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
		s := openStore(t, dir)
		for i := range 3 {
			keep(t, s, packet(i), false)
		}
		closeStore(t, s)
		to := distributor(t, func(id string) protocol.NackCode {
			if id == "p-1" {
				return tc.code
			}
			return 0
		})
		code, out, errs := runCommand(dir, append([]string{"replay", "--to", to}, tc.args...)...)
		s = openStore(t, dir)
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
