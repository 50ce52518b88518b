package faults

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"sluice/e2e/harness"
	"sluice/e2e/oracle"
	"sluice/e2e/plain"
)

// wrongAnswers is A11: beside two honest analyzers there is one for each thing
// that an analyzer can answer wrongly. What they took and never had a right to
// acknowledge must reach somebody else.
func wrongAnswers(r *harness.Run) {
	kinds := []harness.Misbehaviour{harness.AckUnsent, harness.NackUnsent, harness.Garbage, harness.DataFrame, harness.HugeFrame, harness.AckTwice, harness.AckFlood}
	s := r.Start(harness.Options{Weights: []float64{20, 20}, Fakes: kinds})
	r.Load(harness.Mixed())
	wrong := 0
	r.Each(func(int) {
		before := r.Stats(0)
		fakes := s.Analyzers[2:]
		closed, told := make([]int64, len(fakes)), make([]int64, len(fakes))
		for i, a := range fakes {
			closed[i], told[i] = a.Fake.Closed.Load(), a.Fake.Wrong.Load()
			a.Fake.Misbehave(true)
		}
		for i, a := range fakes {
			r.Await(fmt.Sprintf("the analyzer that %s is dealt with", a.Fake.What), func() bool {
				if a.Fake.What.Breaks() {
					return a.Fake.Closed.Load() > closed[i] && r.State(a) != "up"
				}
				return a.Fake.Wrong.Load() > told[i]+3
			})
		}
		r.Fired()
		for i, a := range fakes {
			a.Fake.Misbehave(false)
			wrong += int(a.Fake.Wrong.Load() - told[i])
		}
		r.AwaitSettled()
		if after := r.Stats(0); after.FalseAcks < before.FalseAcks+2 || after.LateAnswers <= before.LateAnswers {
			r.Fail("false acks went from %d to %d, late answers from %d to %d: not counted", before.FalseAcks, after.FalseAcks, before.LateAnswers, after.LateAnswers)
		}
		for _, a := range fakes {
			if !a.Fake.What.Breaks() && r.State(a) != "up" {
				r.Fail("the analyzer that %s is %q", a.Fake.What, r.State(a))
			}
			r.AwaitUp(a)
		}
	})
	st := r.Stats(0)
	r.See("%d wrong answers; %d false acks, %d late answers counted", wrong, st.FalseAcks, st.LateAnswers)
}

// allDown is B8.
func allDown(r *harness.Run) { everybodyDown(r, harness.Mixed(), 2000) }

// allDownAtFullLoad is E3.
func allDownAtFullLoad(r *harness.Run) { everybodyDown(r, harness.Full(), 5000) }

// everybodyDown kills all analyzers: once the queue is full, senders hear
// "busy" at once and nobody spins; when one analyzer is back, everything that
// waited is delivered.
func everybodyDown(r *harness.Run, l harness.Load, queue int) {
	s := r.Start(harness.Options{Env: map[string]string{"MAX_QUEUE_SIZE": fmt.Sprint(queue)}})
	r.Load(l)
	d := s.Distributors[0]
	book := s.Oracle.NewBook()
	var busy longest
	var cpu float64
	r.Each(func(i int) {
		for _, a := range s.Analyzers {
			a.Kill()
		}
		// The last quarter is for those that hold less than their part: the
		// load alone may never fill it.
		r.Await("the queue is full", func() bool {
			if int(r.Stats(0).Queued) >= queue*3/4 {
				newcomer(r, d, book)
			}
			return int(r.Stats(0).Queued) >= queue
		})
		r.Fired()
		for range 50 {
			busy.add(refusedBusy(r, d, book))
		}
		serviceUnavailable(r, d)
		time.Sleep(time.Second)
		cpu = max(cpu, cores(r, d, 3*time.Second))
		r.Must(s.Analyzers[i%len(s.Analyzers)].Start())
		r.SettlesFromNow()
		r.AwaitSettled() // by one analyzer
		for k, a := range s.Analyzers {
			if k != i%len(s.Analyzers) {
				r.Must(a.Start())
			}
		}
		for _, a := range s.Analyzers {
			r.AwaitUp(a)
		}
	})
	r.See("busy within %v (limit 100 ms); %.1f %% of a core meanwhile (limit 20 %%)", busy, 100*cpu)
	if cpu > 0.2 {
		r.Fail("the distributor used %.1f %% of a core with all analyzers down and the queue full", 100*cpu)
	}
	if busy > longest(5*time.Second) {
		r.Fail("busy came after %v", busy)
	}
}

// newcomer sends some packets and leaves. They are delivered all the same, or
// were refused.
func newcomer(r *harness.Run, d *harness.Distributor, book *oracle.Book) {
	w, err := plain.Dial(d.Addr, harness.Patience)
	r.Must(err)
	defer w.Close(false)
	for range 20 {
		n := book.Issue()
		r.Must(w.Send(book.Agent, n))
		book.Forget(n)
	}
	r.Must(w.Conn.(*net.TCPConn).CloseWrite())
	for err == nil { // until the distributor has read it all, and closed
		_, _, _, err = w.Next()
	}
}

// refusedBusy sends one packet, expects "busy" and returns how soon it came.
func refusedBusy(r *harness.Run, d *harness.Distributor, book *oracle.Book) time.Duration {
	w, err := plain.Dial(d.Addr, harness.Patience)
	r.Must(err)
	defer w.Close(false)
	n := book.Issue()
	defer book.Forget(n)
	began := time.Now()
	r.Must(w.Send(book.Agent, n))
	_, nacked, code, err := w.Next()
	if err != nil || nacked != [2]int{1, 1} || code != 1 {
		r.Fail("with the queue full a packet was answered with code %d, %v", code, err)
	}
	return time.Since(began)
}

// serviceUnavailable expects 503 and Retry-After of /ingest.
func serviceUnavailable(r *harness.Run, d *harness.Distributor) {
	body := `{"packet_id":"by-http","agent_id":"http","messages":[]}`
	res, err := http.Post("http://"+d.HTTP+"/ingest", "application/json", strings.NewReader(body))
	r.Must(err)
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		r.Fail("POST /ingest with the queue full: %s, Retry-After %q", res.Status, res.Header.Get("Retry-After"))
	}
}

// cores is how many cores' worth of time a distributor uses.
func cores(r *harness.Run, d *harness.Distributor, over time.Duration) float64 {
	before, err := d.Process().CPU()
	r.Must(err)
	began := time.Now()
	time.Sleep(over)
	after, err := d.Process().CPU()
	r.Must(err)
	return (after - before).Seconds() / time.Since(began).Seconds()
}
