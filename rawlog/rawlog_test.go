package rawlog

import (
	"bufio"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice/protocol"
)

var received = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func TestParse(t *testing.T) {
	utc := func(y int, mo time.Month, d, h, m, s, ns int) time.Time {
		return time.Date(y, mo, d, h, m, s, ns, time.UTC)
	}
	const ms = 1_000_000
	for _, c := range []struct {
		name, line string
		time       time.Time
		level      protocol.Level
		source     string
		message    string
	}{
		{"apache error", "[Sat May 02 10:11:12 2015] [error] child in error state 6",
			utc(2015, 5, 2, 10, 11, 12, 0), "ERROR", "", "child in error state 6"},
		{"apache notice", "[Sat May 02 10:11:12 2015] [notice] worker ok",
			utc(2015, 5, 2, 10, 11, 12, 0), "INFO", "", "worker ok"},
		{"apache client", "[Sat May 02 10:11:12 2015] [error] [client 192.0.2.1] no such file",
			utc(2015, 5, 2, 10, 11, 12, 0), "ERROR", "", "[client 192.0.2.1] no such file"},
		{"a number that is the message", "2015/05/02 10:11:12 42 apples", utc(2015, 5, 2, 10, 11, 12, 0), "INFO", "", "42 apples"},
		{"hdfs", "150502 101112 42 WARN dfs.DataNode$Streamer: slow block 17",
			utc(2015, 5, 2, 10, 11, 12, 0), "WARNING", "dfs.DataNode$Streamer", "slow block 17"},
		{"hadoop", "2015-05-02 10:11:12,345 INFO [IPC handler 3 on 99] org.example.Client: connected: yes",
			utc(2015, 5, 2, 10, 11, 12, 345*ms), "INFO", "org.example.Client", "connected: yes"},
		{"spark", "15/05/02 10:11:12 INFO storage.Memory: found 3",
			utc(2015, 5, 2, 10, 11, 12, 0), "INFO", "storage.Memory", "found 3"},
		{"zookeeper", "2015-05-02 10:11:12,345 - ERROR  [Peer[id=1]/0:0:2181:CnxManager$Worker@77] - lost it",
			utc(2015, 5, 2, 10, 11, 12, 345*ms), "ERROR", "CnxManager$Worker", "lost it"},
		{"zookeeper without a line number", "2015-05-02 10:11:12,345 - WARN  [main] - odd",
			utc(2015, 5, 2, 10, 11, 12, 345*ms), "WARNING", "", "[main] - odd"},
		{"proxifier", "[02.03 10:11:12] chrome.exe *64 - example.org:80 open through proxy",
			utc(2026, 2, 3, 10, 11, 12, 0), "INFO", "chrome.exe", "example.org:80 open through proxy"},
		{"linux", "Jan  2 10:11:12 host sshd(pam_unix)[123]: session opened",
			utc(2026, 1, 2, 10, 11, 12, 0), "INFO", "sshd", "session opened"},
		{"openssh, last year", "Dec 24 10:11:12 host sshd[123]: Failed password for x",
			utc(2025, 12, 24, 10, 11, 12, 0), "WARNING", "sshd", "Failed password for x"},
		{"syslog leap day", "Feb 29 10:11:12 host kernel: up",
			utc(2026, 3, 1, 10, 11, 12, 0), "INFO", "kernel", "up"},
		{"syslog with priority", "<3>Jan  2 10:11:12 host app[9]: disk",
			utc(2026, 1, 2, 10, 11, 12, 0), "ERROR", "app", "disk"},
		{"RFC 5424", "<34>1 2015-05-02T10:11:12.5Z host app 1 ID - gone",
			utc(2015, 5, 2, 10, 11, 12, 500*ms), "CRITICAL", "", "host app 1 ID - gone"},
		{"RFC 3339 with a zone", "2015-05-02T10:11:12+02:00 DEBUG cache: miss",
			utc(2015, 5, 2, 8, 11, 12, 0), "DEBUG", "cache", "miss"},
		{"zone after a space", "2015-05-02 10:11:12.250 +0100 [warn] late",
			utc(2015, 5, 2, 9, 11, 12, 250*ms), "WARNING", "", "late"},
		{"go log", "2015/05/02 10:11:12 listening on :80",
			utc(2015, 5, 2, 10, 11, 12, 0), "INFO", "", "listening on :80"},
		{"glog", "E0102 10:11:12.000500 42 server.go:7] no route",
			utc(2026, 1, 2, 10, 11, 12, 500_000), "ERROR", "", "42 server.go:7] no route"},
		{"access log", `192.0.2.1 - - [02/May/2015:10:11:12 +0000] "GET / HTTP/1.1" 503 12`,
			utc(2015, 5, 2, 10, 11, 12, 0), "ERROR", "", `192.0.2.1 - - [02/May/2015:10:11:12 +0000] "GET / HTTP/1.1" 503 12`},
		{"unix seconds", "1430561472.25 FATAL db: gone",
			utc(2015, 5, 2, 10, 11, 12, 250*ms), "CRITICAL", "db", "gone"},
		{"unix milliseconds", "1430561472250 info x",
			utc(2015, 5, 2, 10, 11, 12, 250*ms), "INFO", "", "x"},
		{"level only", "ERROR: cannot open", received, "ERROR", "", "cannot open"},
		{"nothing", "hello world", received, "INFO", "", "hello world"},
		{"prose that begins like a level", "Error bars are shown", received, "ERROR", "", "Error bars are shown"},
		{"empty", "", received, "INFO", "", ""},
		{"line end", "hello\r\n", received, "INFO", "", "hello"},
		{"no such day", "2015-13-45 10:11:12 INFO x", received, "INFO", "", "2015-13-45 10:11:12 INFO x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := Parse(c.line, received)
			if !m.Timestamp.Equal(c.time) {
				t.Errorf("time %v, want %v", m.Timestamp, c.time)
			}
			if m.Level != c.level || m.Source != c.source || m.Message != c.message {
				t.Errorf("got %q %q %q, want %q %q %q", m.Level, m.Source, m.Message, c.level, c.source, c.message)
			}
		})
	}
}

// TestRealLogs counts on files that are not part of the project.
func TestRealLogs(t *testing.T) {
	files, _ := filepath.Glob("../../shared/data/loghub/*.log")
	if len(files) == 0 {
		t.Skip("SKIPPED: no real logs at ../../shared/data/loghub/*.log; only the typed lines were tested")
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var lines, times, sources int
			levels := map[protocol.Level]int{}
			for in := bufio.NewScanner(f); in.Scan(); {
				m := Parse(in.Text(), received)
				lines++
				levels[m.Level]++
				if !m.Timestamp.Equal(received) {
					times++
				}
				if m.Source != "" {
					sources++
				}
				if !protocol.ValidLevel(string(m.Level)) {
					t.Fatalf("level %q of %q", m.Level, in.Text())
				}
			}
			t.Logf("%d lines, %d times, %d sources, levels %v", lines, times, sources, levels)
			if times*100 < lines*95 {
				t.Errorf("time found in %d of %d lines", times, lines)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[Sat May 02 10:11:12 2015] [error] x")
	f.Add("<34>1 2015-05-02T10:11:12.5Z host app 1 ID - gone")
	f.Add("1430561472.25 [a[b]@3] c")
	f.Add("E0102 10:11:12.000500 42")
	f.Fuzz(func(t *testing.T, line string) {
		m := Parse(line, received)
		if !protocol.ValidLevel(string(m.Level)) || m.Timestamp.IsZero() && len(line) == 0 {
			t.Fatalf("%+v", m)
		}
	})
}
