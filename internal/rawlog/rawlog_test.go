package rawlog

import (
	"bufio"
	"os"
	"reflect"
	"strings"
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
			utc(2025, 12, 24, 10, 11, 12, 0), "INFO", "sshd", "Failed password for x"},
		{"syslog leap day", "Feb 29 10:11:12 host kernel: up",
			utc(2024, 2, 29, 10, 11, 12, 0), "INFO", "kernel", "up"},
		{"syslog with priority", "<3>Jan  2 10:11:12 host app[9]: disk",
			utc(2026, 1, 2, 10, 11, 12, 0), "ERROR", "app", "disk"},
		{"RFC 5424", "<34>1 2015-05-02T10:11:12.5Z host app 1 ID - gone",
			utc(2015, 5, 2, 10, 11, 12, 500*ms), "CRITICAL", "app", "gone"},
		{"RFC 3339 with a zone", "2015-05-02T10:11:12+02:00 DEBUG cache: miss",
			utc(2015, 5, 2, 8, 11, 12, 0), "DEBUG", "cache", "miss"},
		{"zone after a space", "2015-05-02 10:11:12.250 +0100 [warn] late",
			utc(2015, 5, 2, 9, 11, 12, 250*ms), "WARNING", "", "late"},
		{"go log", "2015/05/02 10:11:12 listening on :80",
			utc(2015, 5, 2, 10, 11, 12, 0), "INFO", "", "listening on :80"},
		{"glog", "E0102 10:11:12.000500 42 server.go:7] no route",
			utc(2026, 1, 2, 10, 11, 12, 500_000), "ERROR", "server.go", "no route"},
		{"access log", `192.0.2.1 - - [02/May/2015:10:11:12 +0000] "GET / HTTP/1.1" 503 12`,
			utc(2015, 5, 2, 10, 11, 12, 0), "ERROR", "", "GET / HTTP/1.1"},
		{"unix seconds", "1430561472.25 FATAL db: gone",
			utc(2015, 5, 2, 10, 11, 12, 250*ms), "CRITICAL", "db", "gone"},
		{"unix milliseconds", "1430561472250 info x",
			utc(2015, 5, 2, 10, 11, 12, 250*ms), "INFO", "", "x"},
		{"level only", "ERROR: cannot open", received, "ERROR", "", "cannot open"},
		{"nothing", "hello world", received, "INFO", "", "hello world"},
		{"prose that begins like a level", "Error bars are shown", received, "INFO", "", "Error bars are shown"},
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

// TestRealLogs counts on files that are not part of the project. The levels are
// those that grep finds in the files.
func TestRealLogs(t *testing.T) {
	levels := func(l ...int) map[protocol.Level]int {
		m := map[protocol.Level]int{}
		for i, level := range []protocol.Level{"", "INFO", "WARNING", "ERROR", "CRITICAL"} {
			if l[i] > 0 {
				m[level] = l[i]
			}
		}
		return m
	}
	for _, c := range []struct {
		name        string
		format      Format
		first, last time.Time // of the first and the last line
		sourceless  int
		levels      map[protocol.Level]int
	}{
		{"Apache", Prefixed, day(2005, 12, 4, 4, 47, 44), day(2005, 12, 5, 19, 15, 57), 2000, levels(0, 1405, 0, 595, 0)},
		{"HDFS", Prefixed, day(2008, 11, 9, 20, 36, 15), day(2008, 11, 11, 10, 20, 17), 0, levels(0, 1920, 80, 0, 0)},
		{"Hadoop", Prefixed, day(2015, 10, 18, 18, 1, 47), day(2015, 10, 18, 18, 10, 55), 0, levels(0, 1040, 808, 150, 2)},
		{"Linux", Syslog3164, day(2005, 6, 14, 15, 16, 1), day(2005, 7, 27, 14, 42, 0), 0, levels(1998, 0, 2, 0, 0)},
		{"OpenSSH", Syslog3164, day(2004, 12, 10, 6, 55, 46), day(2004, 12, 10, 11, 4, 45), 0, levels(1952, 0, 0, 47, 1)},
		{"Proxifier", Proxifier, day(2004, 10, 30, 16, 49, 6), day(2005, 7, 27, 10, 23, 42), 0, levels(2000, 0, 0, 0, 0)},
		{"Spark", Prefixed, day(2017, 6, 9, 20, 10, 40), day(2017, 6, 9, 20, 11, 11), 0, levels(0, 2000, 0, 0, 0)},
		{"Zookeeper", Prefixed, day(2015, 7, 29, 17, 41, 44), day(2015, 8, 10, 18, 12, 34), 0, levels(0, 669, 1318, 13, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := os.Open("../../../shared/data/loghub/" + c.name + ".log")
			if err != nil {
				t.Skip("SKIPPED: no real logs at ../../../shared/data/loghub; only the typed lines were tested")
			}
			defer f.Close()
			p := NewParser(time.UTC, day(2005, 9, 1, 0, 0, 0))
			var r Record
			var first, last time.Time
			lines, understood, sourceless, odd := 0, 0, 0, 0
			got := map[protocol.Level]int{}
			for in := bufio.NewScanner(f); in.Scan(); lines++ {
				p.Parse(in.Text(), &r)
				if lines == 0 {
					first = r.Time
				}
				last = r.Time
				got[r.Level]++
				switch {
				case r.Format != c.format:
					odd++
				case r.Source == "":
					sourceless++
				}
				if r.Understood() {
					understood++
				}
				if !strings.HasSuffix(in.Text(), r.Message) {
					t.Fatalf("message %q of %q", r.Message, in.Text())
				}
			}
			t.Logf("%d lines, %d understood, levels %v, from %s to %s", lines, understood, got, first, last)
			if lines != 2000 || understood < 1980 || odd > 0 || sourceless > c.sourceless {
				t.Errorf("of %d lines %d understood, %d in another format, %d without source", lines, understood, odd, sourceless)
			}
			if !reflect.DeepEqual(got, c.levels) {
				t.Errorf("levels %v, want %v", got, c.levels)
			}
			if !first.Truncate(time.Second).Equal(c.first) || !last.Truncate(time.Second).Equal(c.last) {
				t.Errorf("from %v to %v, want %v to %v", first, last, c.first, c.last)
			}
		})
	}
}

func day(y int, mo time.Month, d, h, m, s int) time.Time {
	return time.Date(y, mo, d, h, m, s, 0, time.UTC)
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
