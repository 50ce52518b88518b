package harness

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"sluice/internal/process"
)

const (
	// Patience is how long anything may take on a busy machine.
	Patience = 60 * time.Second

	// MinAcked is how many packets must be acknowledged around each fault for
	// it to count.
	MinAcked = 1000

	// settleLimit is how soon after a fault all that was open must be answered.
	settleLimit = 30 * time.Second

	pollEvery = 5 * time.Millisecond
)

// Row is a scenario as the table of scenarios lists it. Immutable.
type Row struct {
	ID    string // of docs/ACCEPTANCE.md
	Fault string
	Part  string // of the table of verdicts; rows of one part follow each other
	Bound Bound
	Short int  // how often the fault is made in the short form
	Long  int  // at least, in the long form
	Alone bool // it measures throughput or CPU: nothing runs beside it
	Run   func(r *Run)
}

// Bound says what duplicates may come from.
type Bound int

// The bounds. A failed hand-over and a resend can each cause one duplicate.
const (
	NoDup    Bound = iota // exactly none
	HandOver              // F: packets taken back from analyzers
	Resend                // U: packets that agents sent again because their connection was lost
	Both                  // F + U
	Own                   // the scenario judges it, or sends ids twice
)

// Form says how long a run is.
type Form struct {
	Long   bool
	Times  int // fixes how often faults are made; 0: as the row says
	Budget time.Duration
}

// Run is one execution of a scenario. Its methods that wait or check end the
// scenario when they fail, as those of testing.T do. Owned by the scenario's
// goroutine.
type Run struct {
	S    *System
	Rand *rand.Rand
	Long bool

	lab      *Lab
	row      *Row
	dir      string
	result   *Result
	until    time.Time
	fired    bool
	settling *settling
	agents   int
	judged   bool
	after    []func() error
	bound    int // the scenario's own
	why      string
}

// Execute runs a scenario and judges it.
func (l *Lab) Execute(row *Row, form Form) *Result {
	r := &Run{lab: l, row: row, Long: form.Long, result: &Result{ID: row.ID, Fault: row.Fault, Part: row.Part, Due: row.Short}}
	if form.Long {
		r.result.Due = row.Long
	}
	if form.Times > 0 {
		r.result.Due = min(form.Times, r.result.Due)
	}
	seed := rand.Uint64()
	r.Rand = rand.New(rand.NewPCG(seed, 0))
	began := time.Now()
	if form.Long && form.Times == 0 {
		r.until = began.Add(form.Budget)
	}
	dir, err := os.MkdirTemp(l.Dir, row.ID+"-")
	if err != nil {
		r.Fail("%v", err)
		return r.result
	}
	r.dir = dir
	ended := make(chan struct{})
	go func() { // of its own, so that Must and Await can end it
		defer close(ended)
		row.Run(r)
		r.finish()
	}()
	<-ended
	r.unwatch()
	if r.S != nil && !r.judged {
		r.autopsy()
	}
	if r.S != nil {
		if len(r.result.Failures) > 0 {
			r.result.Failures = append(r.result.Failures, "the logs end with\n"+r.S.logs(24))
		}
		r.S.stop()
	}
	if r.result.Passed() {
		if err := os.RemoveAll(dir); err != nil {
			r.Fail("%v", err)
		}
	} else {
		r.result.Seen = append(r.result.Seen, "files in "+dir)
	}
	for _, f := range r.after {
		if err := f(); err != nil {
			r.Fail("afterwards: %v", err)
		}
	}
	r.result.Took = time.Since(began)
	return r.result
}

// Start builds the system and waits until every analyzer is up everywhere.
func (r *Run) Start(o Options) *System {
	s, err := r.lab.newSystem(r.dir, o)
	r.S = s
	r.Must(err)
	r.Must(s.start())
	for _, a := range s.Analyzers {
		r.AwaitUp(a)
	}
	for _, d := range s.Distributors {
		n, err := d.proc.Descriptors()
		r.Must(err)
		s.fresh = append(s.fresh, n)
	}
	return s
}

// Load starts agents.
func (r *Run) Load(l Load) {
	crew, err := startCrew(r.S.Oracle, l, r.S.AgentAddrs())
	r.Must(err)
	r.S.crew = crew
	r.agents += len(crew.agents)
}

// Agents is how many agents of Load and Beside should be connected.
func (r *Run) Agents() int { return r.agents }

// StopLoad stops the agents and waits until all they sent is answered.
func (r *Run) StopLoad() {
	began := time.Now()
	if r.S.crew != nil {
		r.agents -= len(r.S.crew.agents)
	}
	if err := r.S.closeLoad(Patience); err != nil {
		r.Fail("the agents were not answered: %v", err)
	}
	r.settled(time.Since(began))
}

// Quiesce pauses the agents until everything is answered and recorded. The
// caller calls Resume.
func (r *Run) Quiesce() {
	r.S.crew.pause()
	r.Await("everything is answered", func() bool { return r.S.Oracle.Open() == 0 })
	r.awaitQuiet()
}

// Resume lets the agents go on.
func (r *Run) Resume() { r.S.crew.resume() }

// Each makes the fault as often as it is due, at random moments under load.
// fault must call Fired when the fault has really happened, and return when it
// is over. The time to settle counts from SettlesFromNow, if it calls that.
func (r *Run) Each(fault func(i int)) {
	for i := 0; i < r.result.Due || time.Now().Before(r.until); i++ {
		before := r.S.Oracle.Acked()
		r.AwaitAcked(before + MinAcked/2)
		time.Sleep(rand.N(200 * time.Millisecond)) // the moment is random
		r.fired = false
		r.SettlesFromNow()
		fault(i)
		r.AwaitSettled()
		r.AwaitAcked(before + MinAcked + 1)
		if r.fired {
			r.result.Times++
		}
	}
}

// Fired notes that the fault has happened.
func (r *Run) Fired() { r.fired = true }

// Fail notes a broken promise; the scenario goes on.
func (r *Run) Fail(format string, args ...any) {
	r.result.Failures = append(r.result.Failures, fmt.Sprintf(format, args...))
}

// Invalid notes that the run says nothing.
func (r *Run) Invalid(format string, args ...any) {
	r.result.Invalid = append(r.result.Invalid, fmt.Sprintf(format, args...))
}

// See notes a figure for the table.
func (r *Run) See(format string, args ...any) {
	r.result.Seen = append(r.result.Seen, fmt.Sprintf(format, args...))
}

// Must ends the scenario if there is an error.
func (r *Run) Must(err error) {
	if err != nil {
		r.Fail("%v", err)
		runtime.Goexit()
	}
}

// Await polls until a condition holds, and returns how long that took. After
// Patience it ends the scenario.
func (r *Run) Await(what string, holds func() bool) time.Duration {
	return r.AwaitSaying(func() (string, bool) { return what, holds() })
}

// AwaitSaying is Await with a condition that says itself how things stand.
func (r *Run) AwaitSaying(holds func() (string, bool)) time.Duration {
	began := time.Now()
	for {
		what, ok := holds()
		if ok {
			return time.Since(began)
		}
		if time.Since(began) > Patience {
			r.Fail("not within %v: %s", Patience, what)
			runtime.Goexit()
		}
		time.Sleep(pollEvery)
	}
}

// AwaitAcked waits until that many packets were reported delivered in all.
func (r *Run) AwaitAcked(n int) {
	r.Await(fmt.Sprintf("%d packets are acknowledged", n), func() bool { return r.S.Oracle.Acked() >= n })
}

// States of analyzers in /stats.
const (
	stateUp   = "up"
	stateDown = "down"
)

// State asks every distributor for the state of an analyzer. They agree, or it
// is empty.
func (r *Run) State(a *Analyzer) (state string) {
	for i, d := range r.S.Distributors {
		st, err := d.Stats(context.Background())
		if err != nil || len(st.Analyzers) <= a.Index {
			return ""
		}
		now := st.Analyzers[a.Index].State
		if i > 0 && now != state {
			return ""
		}
		state = now
	}
	return state
}

// AwaitUp waits until an analyzer has its full weight everywhere.
func (r *Run) AwaitUp(a *Analyzer) time.Duration {
	return r.Await(a.Name+" is up", func() bool { return r.State(a) == stateUp })
}

// AwaitDown waits until an analyzer was given up everywhere.
func (r *Run) AwaitDown(a *Analyzer) time.Duration {
	return r.Await(a.Name+" is down", func() bool { return r.State(a) == stateDown })
}

// Stats asks a distributor, which must answer, if need be at the second asking:
// a machine that stalls for seconds is no fault.
func (r *Run) Stats(distributor int) Stats {
	d := r.S.Distributors[distributor]
	for began := time.Now(); ; time.Sleep(4 * pollEvery) {
		st, err := d.Stats(context.Background())
		if err == nil || !d.proc.Alive() || time.Since(began) > Patience {
			r.Must(err)
			return st
		}
	}
}

// Pick returns one of the analyzers.
func (r *Run) Pick() *Analyzer { return r.S.Analyzers[r.Rand.IntN(len(r.S.Analyzers))] }

// BoundIs sets the bound of duplicates of a scenario that judges it itself.
func (r *Run) BoundIs(n int, why string) { r.bound, r.why = n, why }

// Left is what is left of the time that the row was given; 0 in the short form.
func (r *Run) Left() time.Duration { return max(0, time.Until(r.until)) }

// Defer has something done when everything of the scenario has ended.
func (r *Run) Defer(f func() error) { r.after = append(r.after, f) }

// Path is a file of the run's own folder.
func (r *Run) Path(name string) string { return filepath.Join(r.dir, name) }

// Server starts one more distributor, with ports of its own and no analyzers
// that exist, for scenarios about how it starts. by confines it; it may be empty.
func (r *Run) Server(name, by string, settings map[string]string) *process.Process {
	env := []string{"LISTEN=127.0.0.1:0", "HTTP_LISTEN=127.0.0.1:0", "ANALYZERS=nobody=tcp://127.0.0.1:1", "DEAD_LETTER_DIR=" + r.Path(name+"-dead-letters")}
	for k, v := range settings {
		env = append(env, k+"="+v)
	}
	program, args := process.Confined(by, r.lab.server, nil)
	p, err := process.Start(r.dir, name, process.Isolated(r.dir, program, args, env))
	r.Must(err)
	return p
}

// Helper starts the harness's own program in one of its modes.
func (r *Run) Helper(name string, args ...string) *process.Process {
	p, err := process.Start(r.dir, name, process.Isolated(r.dir, r.lab.helper, args, nil))
	r.Must(err)
	return p
}
