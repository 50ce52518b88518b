package sim

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/server/dispatch"
)

var curves = flag.Bool("curves", false, "measure what the tunables do, and print the tables")

// bench is a world without chance faults, in which one thing happens: four
// analyzers of equal weight, of which the first may become slow, stop, or die.
type bench struct {
	core     func(*dispatch.Config)
	rtt      time.Duration // between distributor and analyzers
	perFrame time.Duration // of an analyzer that is well
	load     int           // packets a second; 0: as many as the credit allows
	warm     time.Duration
	measure  time.Duration
	during   func(w *World)              // what happens after warm
	then     func(w *World, r *measured) // after the measurement
}

// measured is what came of it, per second where not said otherwise.
type measured struct {
	all, others   float64 // receipts, of all analyzers and of all but the first
	spilled       float64 // share of what was received
	busy          float64 // share of what was received
	redispatched  uint64
	twice         int
	p50, p99, max time.Duration // from an agent's write to its ACK
	stall         time.Duration // longest time in which no agent heard an ACK
}

func (b bench) run(t *testing.T) measured {
	t.Helper()
	k := knobs{
		chaos: time.Second, packets: 0, weights: []float64{1, 1, 1, 1},
		distributors: 1, loops: 1, agents: 16, latency: 50 * time.Microsecond,
		slices: []int{1 << 20}, capacities: []int{4 << 20}, sinkFrames: 32768, sinkLater: 32768, sinkBytes: 8 << 20,
		sizes: []int{100, 100, 100}, burst: 1, letterBytes: 1 << 30, core: dispatch.Defaults(),
		perFrame: []time.Duration{b.perFrame, b.perFrame, b.perFrame, b.perFrame},
	}
	if b.core != nil {
		b.core(&k.core)
	}
	var m measured
	_, err := run(1, k, nil, func(w *World) {
		watch := &stopwatch{}
		w.oracle.watch = watch
		d := w.distributors[0]
		for _, a := range w.analyzers {
			for _, p := range []*path{w.path(d.host, a.host), w.path(a.host, d.host)} {
				p.latency = b.rtt / 2
			}
		}
		w.start()
		w.runFor(300 * time.Millisecond)
		for _, a := range w.agents {
			a.polite = true
			if b.load == 0 {
				a.setPace(1<<30, 5000, 5*time.Millisecond)
				continue
			}
			// A burst each two milliseconds or so.
			each := max(1, b.load/len(w.agents)/500)
			a.setPace(1<<30, each, time.Duration(each)*time.Second*time.Duration(len(w.agents))/time.Duration(b.load))
		}
		w.runFor(b.warm)
		before := snapshot(w)
		watch.took = watch.took[:0]
		if b.during != nil {
			b.during(w)
		}
		end := w.now + b.measure
		last := w.now
		for w.now < end {
			n := len(watch.took)
			w.runFor(time.Millisecond)
			if len(watch.took) > n {
				last = w.now
			}
			m.stall = max(m.stall, w.now-last)
		}
		after := snapshot(w)
		m.fill(before, after, b.measure, watch.took)
		if b.then != nil {
			b.then(w, &m)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tally is where a bench stands.
type tally struct {
	core    coreTotals
	busy    uint64
	handled []int
}

func snapshot(w *World) tally {
	t := tally{core: w.totals()}
	var n dispatch.Counters
	for _, l := range w.distributors[0].loops {
		l.pump.Snapshot(&n)
		t.busy += n.Rejected[1]
	}
	for _, a := range w.analyzers {
		t.handled = append(t.handled, a.handled)
	}
	return t
}

func (m *measured) fill(before, after tally, d time.Duration, took []time.Duration) {
	for i := range after.handled {
		n := float64(after.handled[i]-before.handled[i]) / d.Seconds()
		m.all += n
		if i > 0 {
			m.others += n
		}
	}
	received := float64(after.core.Received - before.core.Received)
	m.spilled = float64(after.core.Spilled-before.core.Spilled) / received
	m.busy = float64(after.busy-before.busy) / received
	m.redispatched = after.core.Redispatched - before.core.Redispatched
	if len(took) > 0 {
		slices.Sort(took)
		m.p50, m.p99, m.max = took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }

func percent(x float64) string { return fmt.Sprintf("%.2f", 100*x) }

// table prints Markdown.
type table struct{ rows [][]string }

func (t *table) add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.rows = append(t.rows, row)
}

func (t *table) print(title string) {
	fmt.Printf("\n**%s**\n\n", title)
	for i, r := range t.rows {
		fmt.Printf("| %s |\n", strings.Join(r, " | "))
		if i == 0 {
			fmt.Printf("|%s\n", strings.Repeat("---|", len(r)))
		}
	}
}

// TestTunables prints the curves of docs/ARCHITECTURE.md.
func TestTunables(t *testing.T) {
	if !*curves {
		t.Skip("measures for minutes; -args -curves")
	}
	throughput(t)
	slowOne(t)
	spillAfter(t)
	hiccups(t)
}

// throughput is what four healthy analyzers of 50,000 frames a second take when
// agents always have more, by the round trip to the analyzers.
func throughput(t *testing.T) {
	var tab table
	tab.add("factor", "min", "RTT 0.2 ms", "2 ms", "10 ms", "20 ms", "50 ms", "100 ms")
	for _, factor := range []int{1, 2, 3, 4, 8, 16} {
		for _, least := range []int{64, 256, 1024} {
			row := []any{factor, least}
			for _, rtt := range []time.Duration{200 * time.Microsecond, 2 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond} {
				m := bench{rtt: rtt, perFrame: 20 * time.Microsecond, warm: time.Second, measure: time.Second,
					core: func(c *dispatch.Config) { c.HandOverFactor, c.HandOverMin = factor, least }}.run(t)
				row = append(row, fmt.Sprintf("%.0f", m.all/1000))
			}
			tab.add(row...)
		}
	}
	tab.print("Saturated, all well: thousand packets a second (the analyzers can take 200)")
}

// slowOne makes one analyzer handle 1,000 frames a second where its share is
// 10,000, and loses its ACKs in the end.
func slowOne(t *testing.T) {
	var tab table
	tab.add("factor", "min", "others get, k/s (30 is their share, 39 all)", "spilled %", "busy %", "redispatched", "ACK p50 ms", "ACK p99 ms", "ACK max ms", "twice when its ACKs are lost")
	for _, factor := range []int{1, 2, 3, 4, 8} {
		for _, least := range []int{16, 64, 256, 1024} {
			m := bench{rtt: 200 * time.Microsecond, perFrame: 20 * time.Microsecond, load: 40_000, warm: time.Second, measure: 3 * time.Second,
				core:   func(c *dispatch.Config) { c.HandOverFactor, c.HandOverMin = factor, least },
				during: func(w *World) { w.analyzers[0].perFrame = time.Millisecond },
				then:   deafenFirst}.run(t)
			tab.add(factor, least, fmt.Sprintf("%.1f", m.others/1000), percent(m.spilled), percent(m.busy), m.redispatched, ms(m.p50), ms(m.p99), ms(m.max), m.twice)
		}
	}
	tab.print("One of four analyzers handles 1,000/s where its share of 40,000/s is 10,000/s (SPILL_AFTER 200 ms)")
}

// deafenFirst lets all that the first analyzer says vanish, until it is given
// up, and counts what is delivered twice: what it was handed.
func deafenFirst(w *World, m *measured) {
	before, a, d := w.oracle.duplicates, w.analyzers[0], w.distributors[0]
	w.path(a.host, d.host).hole = w.now + 20*time.Second
	a.resume()
	w.runFor(15 * time.Second)
	m.twice = w.oracle.duplicates - before
}

// spillAfter compares limits for the age of the oldest frame, with a slow
// analyzer and with one that is stopped.
func spillAfter(t *testing.T) {
	for _, c := range []struct {
		title  string
		during func(*World)
	}{
		{"One of four analyzers becomes ten times too slow (1,000/s)", func(w *World) { w.analyzers[0].perFrame = time.Millisecond }},
		{"One of four analyzers becomes a little too slow (8,000/s of its 10,000/s)", func(w *World) { w.analyzers[0].perFrame = 125 * time.Microsecond }},
		{"One of four analyzers is stopped (SIGSTOP; SILENCE 1 s)", func(w *World) { w.analyzers[0].pause() }},
	} {
		var tab table
		tab.add("SPILL_AFTER ms", "others get, k/s", "spilled %", "busy %", "redispatched", "ACK p50 ms", "ACK p99 ms", "ACK max ms", "longest without any ACK ms", "twice when its ACKs are lost")
		for _, after := range []time.Duration{50, 100, 200, 400, 800} {
			m := bench{rtt: 200 * time.Microsecond, perFrame: 20 * time.Microsecond, load: 40_000, warm: time.Second, measure: 3 * time.Second,
				core:   func(c *dispatch.Config) { c.SpillAfter = after * time.Millisecond },
				during: c.during, then: deafenFirst}.run(t)
			tab.add(int(after), fmt.Sprintf("%.1f", m.others/1000), percent(m.spilled), percent(m.busy), m.redispatched, ms(m.p50), ms(m.p99), ms(m.max), ms(m.stall), m.twice)
		}
		tab.print(c.title)
	}
}

// hiccups is the price of a low limit: each analyzer pauses now and then, as
// collectors and disks make programs do, and nothing is wrong.
func hiccups(t *testing.T) {
	var tab table
	tab.add("SPILL_AFTER ms", "pauses of 60 ms: spilled %", "ACK p99 ms", "150 ms: spilled %", "ACK p99 ms", "300 ms: spilled %", "ACK p99 ms")
	for _, after := range []time.Duration{50, 100, 200, 400, 800} {
		row := []any{int(after)}
		for _, pause := range []time.Duration{60 * time.Millisecond, 150 * time.Millisecond, 300 * time.Millisecond} {
			m := bench{rtt: 200 * time.Microsecond, perFrame: 20 * time.Microsecond, load: 40_000, warm: time.Second, measure: 8 * time.Second,
				core: func(c *dispatch.Config) { c.SpillAfter = after * time.Millisecond },
				during: func(w *World) {
					for i, a := range w.analyzers {
						for n := range 4 {
							w.after(time.Duration(4*n+i)*500*time.Millisecond, a.pause)
							w.after(time.Duration(4*n+i)*500*time.Millisecond+pause, a.resume)
						}
					}
				}}.run(t)
			row = append(row, percent(m.spilled), ms(m.p99))
		}
		tab.add(row...)
	}
	tab.print("All well, but each analyzer pauses every two seconds")
}
