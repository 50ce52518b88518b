package rawlog

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// shown writes what was understood of a line in one string.
func shown(r *Record) string {
	var b strings.Builder
	at := "-"
	if !r.Time.IsZero() {
		at = r.Time.Format(time.RFC3339Nano)
	}
	fmt.Fprintf(&b, "%s %s %s %q %q", r.Format, at, r.Level, r.Source, r.Message)
	for _, f := range r.Fields {
		switch {
		case f.JSON != nil:
			fmt.Fprintf(&b, " %s=%s", f.Key, f.JSON)
		case f.IsInt:
			fmt.Fprintf(&b, " %s=%d", f.Key, f.Int)
		default:
			fmt.Fprintf(&b, " %s=%q", f.Key, f.Text)
		}
	}
	return b.String()
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"slog", `{"time":"2015-05-02T10:11:12.5Z","level":"WARN","msg":"slow","ms":12.5,"tags":["a",{"b":null}]}`,
			`json 2015-05-02T10:11:12.5Z WARNING "" "slow" ms=12.5 tags=["a",{"b":null}]`},
		{"zap", `{"level":"dpanic","ts":1430561472.25,"logger":"db","caller":"x.go:3","msg":"gone"}`,
			`json 2015-05-02T10:11:12.25Z CRITICAL "db" "gone" caller="x.go:3"`},
		{"pino", `{"level":50,"time":1430561472250,"pid":7,"hostname":"h","msg":"boom"}`,
			`json 2015-05-02T10:11:12.25Z ERROR "" "boom" pid=7 hostname="h"`},
		{"docker", `{"log":"hello\n","stream":"stdout","time":"2015-05-02T10:11:12.5Z"}`,
			`json 2015-05-02T10:11:12.5Z  "" "hello" stream="stdout"`},
		{"journal", `{"__REALTIME_TIMESTAMP":"1430561472250000","PRIORITY":"3","MESSAGE":"x","SYSLOG_IDENTIFIER":"sshd"}`,
			`json 2015-05-02T10:11:12.25Z ERROR "sshd" "x"`},
		{"JSON without a message", `{"level":"info","a":1}`, `json - INFO "" "{\"level\":\"info\",\"a\":1}"`},
		{"level that is none", `{"level":{"a":1},"msg":"x"}`, `json -  "" "x" level={"a":1}`},
		{"broken JSON", `{"level":"info"`, `plain -  "" "{\"level\":\"info\""`},
		{"logfmt", `time=2015-05-02T10:11:12Z level=error msg="a \"b\"" service=api path=/x n=3 flag`,
			`logfmt 2015-05-02T10:11:12Z ERROR "api" "a \"b\"" path="/x" n="3" flag=""`},
		{"pairs that are no logfmt", `a=1 b=2`, `plain -  "" "a=1 b=2"`},
		{"pairs and prose", `level=info and then: prose`, `plain -  "" "level=info and then: prose"`},
		{"RFC 5424, everything", `<165>1 2015-05-02T10:11:12.003-07:00 host app 12 ID7 [ex@1 a="b \"c\]" d=""][y] ` + "\ufeffgone",
			`rfc5424 2015-05-02T17:11:12.003Z INFO "app" "gone" facility=20 ex@1.a="b \"c]" hostname="host" pid="12" msgid="ID7"`},
		{"RFC 5424, nothing", `<34>1 - - - - - -`, `rfc5424 - CRITICAL "" "" facility=4`},
		{"RFC 3164", `<13>May  2 10:11:12 host cron(pam)[3]: run`, `rfc3164 2025-05-02T10:11:12Z INFO "cron" "run" facility=1 hostname="host" pid="3" part="pam"`},
		{"RFC 3164 without a header", `<11>app[3]: run`, `rfc3164 - ERROR "app" "run" facility=1 pid="3"`},
		{"syslog with an ISO time", `<30>2015-05-02T10:11:12Z host app: x`, `rfc3164 2015-05-02T10:11:12Z INFO "app" "x" facility=3 hostname="host"`},
		{"syslog, level in the message", `May  2 10:11:12 host app[3]: error: run`, `rfc3164 2025-05-02T10:11:12Z ERROR "app" "run" hostname="host" pid="3"`},
		{"syslog, version in the tag", `Jun 19 04:09:11 combo syslogd 1.4.1: restart.`, `rfc3164 2025-06-19T04:09:11Z  "syslogd" "restart." hostname="combo"`},
		{"syslog, dashes", `Jul  7 08:06:15 combo  -- root[2421]: ROOT LOGIN ON tty2`, `rfc3164 2025-07-07T08:06:15Z  "root" "ROOT LOGIN ON tty2" hostname="combo" pid="2421"`},
		{"common log", `192.0.2.1 - bob [02/May/2015:10:11:12 +0200] "GET /a b HTTP/1.1" 404 -`,
			`access 2015-05-02T08:11:12Z WARNING "" "GET /a b HTTP/1.1" client="192.0.2.1" user="bob" status=404`},
		{"combined log", `::1 - - [02/May/2015:10:11:12 +0000] "GET / HTTP/1.1" 200 12 "http://x/" "curl \"8\"" 0.003`,
			`access 2015-05-02T10:11:12Z INFO "" "GET / HTTP/1.1" client="::1" status=200 bytes=12 referer="http://x/" user_agent="curl \"8\"" more="0.003"`},
		{"log4j, thread first", `2015-05-02 10:11:12,345 [main] WARN  org.x.Y - late`, `prefixed 2015-05-02T10:11:12.345Z WARNING "" "org.x.Y - late" thread="main"`},
		{"Spring", `2015-05-02 10:11:12.345  INFO 12 --- [   main] c.e.App   : up`, `prefixed 2015-05-02T10:11:12.345Z INFO "c.e.App" "up" pid="12" thread="   main"`},
		{"Python", `2015-05-02 10:11:12,345 - web.api - ERROR - no`, `prefixed 2015-05-02T10:11:12.345Z ERROR "web.api" "no"`},
		{"logcat", `03-01 10:11:12.345  1702  2395 D WindowManager: print`, `prefixed 2026-03-01T10:11:12.345Z DEBUG "WindowManager" "print" thread="1702" thread="2395"`},
		{"a sentence with a letter", `2015-05-02 10:11:12 I am here`, `prefixed 2015-05-02T10:11:12Z  "" "I am here"`},
		{"negative number", `2015-05-02 10:11:12 -1 left`, `prefixed 2015-05-02T10:11:12Z  "" "-1 left"`},
		{"nginx", `2015/05/02 10:11:12 [crit] 7#0: *1 open() failed`, `prefixed 2015-05-02T10:11:12Z CRITICAL "" "7#0: *1 open() failed"`},
		{"postgres", `2015-05-02 10:11:12.345 UTC [7] FATAL:  role x`, `prefixed 2015-05-02T10:11:12.345Z CRITICAL "" "role x" thread="7"`},
		{"go log", `2015/05/02 10:11:12 up`, `golog 2015-05-02T10:11:12Z  "" "up"`},
		{"blanks", "  \t ", `plain -  "" "  \t "`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r Record
			NewParser(nil, received).Parse(c.line, &r)
			if got := shown(&r); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

// Times of every form agree with the time package, in zones with and without
// summer time, around the hours at which clocks change.
func TestZones(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Skip("SKIPPED: no zone data")
		}
		p := NewParser(loc, received)
		for at := day(2015, 1, 1, 0, 7, 3); at.Year() < 2017; at = at.Add(37 * time.Minute) {
			text := at.In(loc).Format("2006-01-02 15:04:05")
			want, _ := time.ParseInLocation("2006-01-02 15:04:05", text, loc)
			var r Record
			p.Parse(text+" INFO x", &r)
			if !r.Time.Equal(want) {
				t.Fatalf("%s in %s: %v, want %v", text, zone, r.Time, want.UTC())
			}
		}
	}
}

func TestYears(t *testing.T) {
	for _, c := range []struct{ before, line, want string }{
		{"2015-12-31T23:00:00Z", "Dec 31 22:59:59 h a: x", "2015-12-31T22:59:59Z"},
		{"2016-01-01T00:00:10Z", "Dec 31 22:59:59 h a: x", "2015-12-31T22:59:59Z"},
		{"2015-12-31T23:00:00Z", "Jan  1 10:00:00 h a: x", "2016-01-01T10:00:00Z"}, // within the day of tolerance
		{"2015-12-31T23:00:00Z", "Jan  2 10:00:00 h a: x", "2015-01-02T10:00:00Z"},
		{"2015-12-31T23:00:00Z", "Feb 29 10:00:00 h a: x", "2012-02-29T10:00:00Z"},
		{"2103-12-31T23:00:00Z", "Feb 29 10:00:00 h a: x", "2096-02-29T10:00:00Z"}, // 2100 has none
	} {
		before, _ := time.Parse(time.RFC3339, c.before)
		var r Record
		NewParser(time.UTC, before).Parse(c.line, &r)
		if got := r.Time.Format(time.RFC3339); got != c.want {
			t.Errorf("%s before %s: %s, want %s", c.line, c.before, got, c.want)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	p := NewParser(time.UTC, received)
	var r Record
	for _, line := range []string{
		"2015-05-02 10:11:12,345 INFO [IPC handler 3 on 99] org.example.Client: connected: yes",
		"Jan  2 10:11:12 host sshd(pam_unix)[123]: session opened",
		`::1 - - [02/May/2015:10:11:12 +0000] "GET / HTTP/1.1" 200 12 "http://x/" "curl"`,
	} {
		p.Parse(line, &r)
		if n := testing.AllocsPerRun(100, func() { p.Parse(line, &r) }); n > 0 {
			t.Errorf("%v allocations for %s", n, line)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for name, line := range map[string]string{
		"hadoop": "2015-05-02 10:11:12,345 INFO [IPC handler 3 on 99] org.example.Client: connected: yes",
		"syslog": "Jan  2 10:11:12 host sshd(pam_unix)[123]: session opened for user root by (uid=0)",
		"json":   `{"time":"2015-05-02T10:11:12.5Z","level":"WARN","msg":"slow","ms":12.5,"path":"/a/b"}`,
	} {
		b.Run(name, func(b *testing.B) {
			p := NewParser(time.UTC, received)
			var r Record
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				p.Parse(line, &r)
			}
		})
	}
}
