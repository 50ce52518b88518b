package main

import (
	"encoding/xml"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"sluice/internal/process"
)

func TestRecordsHaveTheirSize(t *testing.T) {
	for _, d := range []dialect{lines, nats} {
		tmpl, err := newTemplate(d, 200)
		if err != nil {
			t.Fatal(err)
		}
		first, second := string(tmpl.appendTo(nil, 1)), string(tmpl.appendTo(nil, 0xabc))
		if first == second || !strings.Contains(second, "000000000abc ") {
			t.Errorf("%s: %q and %q", d, first, second)
		}
		record := first
		if d == nats {
			head, rest, _ := strings.Cut(first, "\r\n")
			if head != "PUB logs 200" || !strings.HasSuffix(rest, "\r\n") {
				t.Fatalf("%q", first)
			}
			record = strings.TrimSuffix(rest, "\r\n")
		}
		if len(record) != 200 || d == lines && strings.Count(record, "\n") != 1 {
			t.Errorf("%s: %d bytes: %q", d, len(record), record)
		}
	}
	if _, err := newTemplate(lines, 40); err == nil {
		t.Error("a record without room for its number was made")
	}
}

func TestLinesAreCountedHoweverTheyAreCut(t *testing.T) {
	const text = "a\nbb\n\nccc\nwithout an end"
	for name, cut := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader} {
		var n counter
		if err := countLines(cut(strings.NewReader(text)), &n); err != nil || n.count().Records != 4 || n.count().Last.IsZero() {
			t.Errorf("%s: %+v, error %v", name, n.count(), err)
		}
	}
	var n counter
	broken := errors.New("broken")
	if err := countLines(io.MultiReader(strings.NewReader("a\n"), iotest.ErrReader(broken)), &n); !errors.Is(err, broken) || n.count().Records != 1 {
		t.Errorf("%+v, error %v", n.count(), err)
	}
}

// TestNATSConn lets a server speak byte by byte.
func TestNATSConn(t *testing.T) {
	server, client := net.Pipe()
	defer server.Close()
	defer client.Close()
	heard := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(server)
		heard <- string(text)
	}()
	go func() {
		for _, b := range []byte("INFO {}\r\nPONG\r\nMSG logs 1 5\r\nhe\nlo\r\nPING\r\nMSG logs 2 0\r\n\r\nPONG\r\nMSG logs 1 2\r\nabcd\r\n") {
			server.Write([]byte{b})
		}
	}()
	c := newNATSConn(client)
	if err := c.connect(); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := c.serve(func() { n++ }); err != nil || n != 2 {
		t.Fatalf("%d records, error %v", n, err)
	}
	if err := c.serve(func() { n++ }); err == nil {
		t.Fatal("a message longer than its header says was taken")
	}
	client.Close()
	if got := <-heard; !strings.HasPrefix(got, "CONNECT {") || !strings.HasSuffix(got, "PING\r\nPONG\r\n") {
		t.Fatalf("the server heard %q", got)
	}
}

func TestListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if !listens(addr) {
		t.Errorf("nobody listens at %s", addr)
	}
	l.Close()
	if listens(addr) {
		t.Errorf("somebody listens at %s still", addr)
	}
	const table = "  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 01 0\n"
	if listensIn([]byte(table), "127.0.0.1:8080") || !listensIn([]byte(strings.Replace(table, " 01 ", " 0A ", 1)), "127.0.0.1:8080") {
		t.Error("a socket's state is not told")
	}
}

func TestSummaries(t *testing.T) {
	a := []sample{{Round: 1, Rate: 10}, {Round: 2, Rate: 30}, {Round: 3, Rate: 20}, {Round: 4, Rate: 50}}
	if got := summarize(a, sample.rate); got != (summary{25, 10, 50, 4}) {
		t.Errorf("even: %+v", got)
	}
	if got := summarize(a[:3], sample.rate); got != (summary{20, 10, 30, 3}) {
		t.Errorf("odd: %+v", got)
	}
	// Rounds are matched by number; one without a partner does not count.
	b := []sample{{Round: 4, Rate: 100}, {Round: 2, Rate: 10}, {Round: 9, Rate: 1}}
	if got := ratio(a, b, sample.rate); got != (summary{1.75, 0.5, 3, 2}) {
		t.Errorf("ratio: %+v", got)
	}
	if got := summarize(nil, sample.rate); got != (summary{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestSampleCompletes(t *testing.T) {
	r := sample{Sent: 1010, Received: 1000, Each: []uint64{405, 295, 200, 100}, Seconds: 2}
	r.complete(process.Usage{CPU: time.Second, Reads: 100, Writes: 100}, process.Usage{CPU: 4 * time.Second, Reads: 150, Writes: 120}, weights[:])
	if r.Lost != 10 || r.Twice != 0 || r.Rate != 500 || r.CPU != 3000 || r.Cores != 1.5 || r.Off != 5 || r.OffShare != 0.5 || r.Reads != 0.05 || r.Writes != 0.02 {
		t.Errorf("%+v", r)
	}
	r = sample{Sent: 990, Received: 1000, Each: []uint64{400, 300, 200, 100}, Seconds: 1}
	if r.complete(process.Usage{}, process.Usage{}, weights[:]); r.Lost != 0 || r.Twice != 10 || r.Off != 0 {
		t.Errorf("%+v", r)
	}
}

// example is an outcome with one of everything, among it a peer that is missing.
func example() *outcome {
	run := func(round int, rate, cpu float64) sample {
		return sample{Round: round, Rate: rate, CPU: cpu, PeakRSS: 50 << 20, Received: 100, Each: []uint64{40, 30, 20, 10}}
	}
	return &outcome{
		Throughput: []series{
			{Name: "sluice", Title: "Sluice", PerRecord: true, Runs: []sample{run(1, 4e6, 0.2), run(2, 5e6, 0.3)}},
			{Name: "haproxy", Title: "HAProxy", Runs: []sample{run(1, 5e6, 0.2), run(2, 5e6, 0.2)}},
			{Name: "nats", Title: "NATS <core>", PerRecord: true, Runs: []sample{run(1, 1e6, 2), run(2, 1e6, 2)}},
			{Name: "rsyslog", Title: "rsyslog", PerRecord: true, Missing: "not installed: its module is not there"},
		},
		Latency: []latencySeries{
			{Name: "sluice", Title: "Sluice", Load: "1,000/s", Rate: 1000, Runs: []latencySample{{Round: 1, Latency: latency{P50: 1, P90: 2, P99: 3, P999: 4, Max: 50}}}},
			{Name: "haproxy", Title: "HAProxy", Load: "1,000/s", Rate: 1000, Runs: []latencySample{{Round: 1, Latency: latency{P50: 1, P90: 1, P99: 1, P999: 1, Max: 1}}}},
		},
		Ingest: []ingestSeries{{Name: "sluice", Runs: []ingestSample{{Round: 1, CPU: 12}}}, {Name: "empty", Runs: []ingestSample{{Round: 1, CPU: 10}}}},
		Peak:   4.5e6,
	}
}

func TestVerdicts(t *testing.T) {
	want := map[string]bool{
		"rate, of HAProxy's relay":           true, // 0.9
		"CPU per packet, of HAProxy's relay": true, // 1.25
		"rate, of the fastest that balances records (nats; rsyslog was not measured)":            true, // 4.5
		"CPU per packet, of the cheapest that balances records (nats; rsyslog was not measured)": true, // 0.125
		"largest RSS under full load":                                true,  // 50 MiB
		"packets lost in any run":                                    true,  // 0
		"farthest from a weight, in packets, beyond what spilled":    true,  // 0
		"p99 acknowledgement latency at 1,000/s, of HAProxy's relay": false, // 3
		"CPU per /ingest request, of an empty fasthttp handler":      true,  // 1.2
	}
	o := example()
	for _, v := range judge(o) {
		kept, ok := want[v.What]
		if !ok || kept != v.Kept {
			t.Errorf("%+v", v)
		}
		delete(want, v.What)
	}
	if len(want) > 0 {
		t.Errorf("no verdict of %v", want)
	}
	o.Throughput[0].Runs[1].Lost = 1
	for _, v := range judge(o) {
		if v.What == "packets lost in any run" && v.Kept {
			t.Error("one lost packet in one run is none")
		}
	}
}

func TestReports(t *testing.T) {
	o := example()
	o.Verdicts = judge(o)
	text := o.markdown()
	for _, want := range []string{"rsyslog | not measured: not installed: its module is not there |", "4,500 (4,000–5,000)", "0.900 (0.800–1.00)", "40.0 / 30.0 / 20.0 / 10.0", "| missed |"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for row := range strings.Lines(text) {
		if strings.HasPrefix(row, "| Sluice | records") || strings.HasPrefix(row, "| rsyslog | not") {
			if n := strings.Count(row, "|"); n != 14 {
				t.Errorf("%d bars in %q", n, row)
			}
		}
	}
	for name, picture := range map[string][]byte{"bars": barChart(o.Throughput), "curves": curveChart(o.Latency), "nothing": curveChart(nil)} {
		for d := xml.NewDecoder(strings.NewReader(string(picture))); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v in\n%s", name, err, picture)
			}
		}
		if strings.Contains(string(picture), "NaN") || strings.Contains(string(picture), "Inf") {
			t.Errorf("%s: %s", name, picture)
		}
	}
	if !strings.Contains(string(barChart(o.Throughput)), "not measured: not installed") {
		t.Error("the missing peer is not in the chart")
	}
}

// TestConfigurations checks that each peer is given its addresses and weights,
// and by the program itself, where it is installed and can check.
func TestConfigurations(t *testing.T) {
	check := map[string][]string{"haproxy": {"-c"}, "nginx": {"-t"}, "rsyslog": {"-N1"}, "sluice": {"--check"}}
	for _, p := range peers() {
		t.Run(p.name, func(t *testing.T) {
			s := &setting{weights: weights[:], dir: t.TempDir(), addr: "127.0.0.1:17001", http: "127.0.0.1:17002",
				targets: []string{"127.0.0.1:17003", "127.0.0.1:17004", "127.0.0.1:17005", "127.0.0.1:17006"}}
			args, err := p.configure(s)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := os.ReadFile(filepath.Join(s.dir, "middle.conf"))
			all := string(text) + strings.Join(args, " ")
			for _, port := range []string{"17001", "17003", "17004", "17005", "17006"} {
				if p.takes == nats && port != "17001" {
					continue // its sinks come to it
				}
				if !strings.Contains(all, port) {
					t.Errorf("port %s is not in %s", port, all)
				}
			}
			program, err := p.available("../../bin")
			if err != nil || check[p.name] == nil {
				t.Skipf("the program is not here, or cannot check: %v", err)
			}
			if out, err := exec.Command(program, append(args, check[p.name]...)...).CombinedOutput(); err != nil {
				t.Errorf("%v: %s\n%s", err, out, all)
			}
		})
	}
}
