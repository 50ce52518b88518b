package harness

import (
	"time"

	"sluice/internal/process"
)

// Rate measures for how many packets a second receipts grow, at all analyzers
// but one (nil: at all).
func (r *Run) Rate(but *Analyzer, over time.Duration) float64 {
	before, began := r.S.Delivered(but), time.Now()
	time.Sleep(over)
	return float64(r.S.Delivered(but)-before) / time.Since(began).Seconds()
}

// FullRate is Rate at full load, where the processors are the limit: ours says
// which part of the machine nobody else used meanwhile. Two rates can be
// compared only by what the machine left for them.
func (r *Run) FullRate(over time.Duration) (rate, ours float64) {
	usedBefore, hadBefore, err := process.MachineCPU()
	r.Must(err)
	weBefore := r.usedByUs()
	rate = r.Rate(nil, over)
	we := r.usedByUs() - weBefore
	used, had, err := process.MachineCPU()
	r.Must(err)
	others := max(0, used-usedBefore-we)
	return rate, 1 - others.Seconds()/(had-hadBefore).Seconds()
}

// usedByUs is the processor time of the harness and all that it runs.
func (r *Run) usedByUs() time.Duration {
	sum, err := process.OwnCPU()
	r.Must(err)
	var procs []*process.Process
	for _, d := range r.S.Distributors {
		procs = append(procs, d.proc)
	}
	for _, a := range r.S.Analyzers {
		procs = append(procs, a.proc)
	}
	for _, p := range procs {
		if p != nil && p.Alive() {
			cpu, err := p.CPU()
			r.Must(err)
			sum += cpu
		}
	}
	return sum
}
