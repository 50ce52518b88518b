package harness

import (
	"encoding/json"
	"os"
	"syscall"

	"sluice/internal/process"
)

// Loadgen is a run of loadgen beside the agents of the scenario. What it sends
// is in no book, so the receipts of it are not judged.
type Loadgen struct {
	*process.Process
	run  *Run
	json string
}

// Loadgen starts it; the scenario must Wait.
func (r *Run) Loadgen(name string, args ...string) *Loadgen {
	l := &Loadgen{run: r, json: r.Path(name + ".json")}
	_ = os.Remove(l.json) // of an earlier run of the same name; most often there is none
	var err error
	l.Process, err = process.Start(r.dir, name, process.Isolated(r.dir, r.lab.loadgen, append(args, "--json", l.json, "--progress", "never"), nil))
	r.Must(err)
	return l
}

// Interrupt asks it to end early; it still reports.
func (l *Loadgen) Interrupt() { l.Signal(syscall.SIGINT) }

// Report is what the harness reads of loadgen's report, of whatever mode.
type Report struct {
	Sent         uint64            `json:"sent_packets"`
	Delivered    uint64            `json:"delivered_packets"`
	Failed       uint64            `json:"failed_packets"`
	Busy         uint64            `json:"busy_answers"`
	Resends      uint64            `json:"resends"`
	Reconnects   uint64            `json:"reconnects"`
	PerSecond    float64           `json:"packets_per_second"`
	Written      uint64            `json:"written_packets"`
	Opened       uint64            `json:"opened"`
	ClosedBy     uint64            `json:"closed_by_server"`
	Endings      map[string]uint64 `json:"endings"`
	First, Again StormRound        `json:"-"`
	Latency      struct {
		P99 float64 `json:"p99"` // milliseconds
	} `json:"latency_ms"`
}

// StormRound is one round of loadgen --storm.
type StormRound struct {
	Served  int               `json:"served"`
	Elapsed float64           `json:"elapsed_seconds"`
	Busy    uint64            `json:"busy_answers"`
	Trouble map[string]uint64 `json:"troubles"`
}

// Wait waits for its end and returns the exit code and the report.
func (l *Loadgen) Wait() (code int, report Report) {
	code, ended := l.ExitWithin(2 * Patience)
	if !ended {
		l.Kill()
		l.run.Fail("%s did not end:\n%s", l.Name, l.Tail(20))
		return -1, report
	}
	text, err := os.ReadFile(l.json)
	if err == nil {
		err = json.Unmarshal(text, &report)
	}
	storm := struct {
		First *StormRound `json:"first_connect"`
		Again *StormRound `json:"reconnect"`
	}{&report.First, &report.Again}
	if err == nil {
		err = json.Unmarshal(text, &storm)
	}
	if err != nil {
		l.run.Fail("%s ended with %d and left no report: %v\n%s", l.Name, code, err, l.Tail(20))
	}
	return code, report
}
