package main

import (
	"fmt"
	"math"
	"os"
	"strings"

	"sluice/bench/cost"
)

// scaleModel is what the runs say.
type scaleModel struct {
	about about
	all   []cost.Measured
	spans []summary // of the CPU, in the order of all
	model *cost.Model
}

func (r *scaleRuns) fit() (*scaleModel, error) {
	m := &scaleModel{about: r.About}
	for _, p := range r.Points {
		cpu := summarize(p.Runs, sample.cpu)
		m.spans = append(m.spans, cpu)
		m.all = append(m.all, cost.Measured{Point: p.Point, CPU: cpu.Median,
			Calls: summarize(p.Runs, sample.calls).Median, Peak: summarize(p.Runs, sample.rss).Median / (1 << 20)})
	}
	var err error
	m.model, err = cost.Fit(m.all)
	return m, err
}

// write fits the model and writes the reports that were asked for.
func (c *scaleCmd) write(all *scaleRuns) error {
	m, err := all.fit()
	if err != nil {
		return err
	}
	if c.SVG != "" {
		if err := os.WriteFile(c.SVG, m.chart(), 0o644); err != nil {
			return err
		}
	}
	text := m.markdown(c.SVG)
	if c.Markdown == "" {
		fmt.Print(text)
		return nil
	}
	return os.WriteFile(c.Markdown, []byte(text), 0o644)
}

// What of a point is predicted.
func cpuOf(m cost.Measured) float64   { return m.CPU }
func callsOf(m cost.Measured) float64 { return m.Calls }
func peakOf(m cost.Measured) float64  { return m.Peak }

// judged are the quantities with the points that they are for.
func (m *scaleModel) judged() []judgedModel {
	any := func(cost.Point) bool { return true }
	full := func(p cost.Point) bool { return p.Rate == 0 }
	quiet := func(p cost.Point) bool { return p.Rate > 0 }
	return []judgedModel{
		{"CPU of the distributor for each packet", &m.model.CPU, cpuOf, any},
		{"System calls for each packet", &m.model.Calls, callsOf, any},
		{"Memory where packets come one by one", &m.model.Quiet, peakOf, quiet},
		{"Memory as fast as it goes", &m.model.Peak, peakOf, full},
	}
}

type judgedModel struct {
	title string
	model *cost.Fitted
	of    func(cost.Measured) float64
	at    func(cost.Point) bool
}

// errors are those at the points that were fitted to, or held out.
func (j judgedModel) errors(all []cost.Measured, held bool) cost.Errors {
	return cost.Judge(j.model, all, j.of, func(p cost.Point) bool { return j.at(p) && p.HeldOut == held })
}

func (m *scaleModel) markdown(chart string) string {
	var out strings.Builder
	m.preface(&out, chart)
	m.coefficients(&out)
	m.held(&out)
	m.poor(&out)
	m.predictions(&out)
	m.points(&out)
	return out.String()
}

func (m *scaleModel) preface(out *strings.Builder, chart string) {
	a := m.about
	fmt.Fprintf(out, "# What a packet costs, by packet, byte, agent, analyzer and loop\n\n"+
		"Written by `make scale`; every single run is in bin/scale.json.\n\n"+
		"Measured %s at commit %s on %s, %d cores, %d MiB, %s; load average before it: %s.\n",
		a.Date.Format("2006-01-02 15:04 UTC"), a.Commit, a.CPU, a.Cores, a.MemoryMB, a.Kernel, a.Load)
	if a.busy() {
		fmt.Fprint(out, "**Provisional: the machine had other work.**\n")
	}
	held := 0
	for _, p := range m.all {
		if p.HeldOut {
			held++
		}
	}
	fmt.Fprintf(out, "%d points, each the median of %d runs of %g s, interleaved; agents and analyzers (`--discard`, equal weights) run on the same cores over loopback. %d of the points were held out of the fit; bench/cost/grid.go names them, and did so before anything was measured. The command, which goes on where it was cut off:\n\n    %s\n",
		len(m.all), a.Rounds, a.Seconds, held, a.Command)
	if chart != "" {
		fmt.Fprint(out, "\n![measured against predicted CPU for each packet, and the errors at the points held out](scale.svg)\n")
	}
}

func (m *scaleModel) coefficients(out *strings.Builder) {
	fmt.Fprintf(out, "\n## The model\n\n"+
		"Fitted by least squares of relative errors, no coefficient negative (bench/cost). A **turn** is what a loop does at one look at a connection. As fast as it goes, an agent's turn takes what a client writes at once, 64 KiB, and a link's turn the link's part of what all agents of the loop had (256 KiB each at most); so a packet of *b* bytes has *b*/64 Ki turns of agents, and analyzers × *b* / (256 Ki × agents of the loop) turns of links, one at most. Where packets come one by one, each has one of both. Sizes hold %d bytes for what is around a body. A byte stays in the cache by the half when agents may have %.0f MiB on their way (4,096 packets or 4 MiB each).\n",
		cost.FrameBytes, m.model.Cache/(1<<20))
	typical := cost.Point{Agents: 10, Analyzers: 8, Size: 200, Loops: 1}
	fmt.Fprintf(out, "A **core** that a loop has for itself carries a second by the packet's CPU: the model has %s packets/s for %s.\n",
		short(1e6/m.model.CPU.Predict(typical)), typical)
	for _, j := range m.judged() {
		fit, held := j.errors(m.all, false), j.errors(m.all, true)
		fmt.Fprintf(out, "\n**%s**", j.title)
		fmt.Fprintf(out, ": error at the %d points fitted to %s in the median, %s at worst; at the %d held out %s.\n\n",
			fit.N, percent(fit.Median), percent(fit.Worst), held.N, heldWords(held))
		fmt.Fprint(out, "| term | coefficient | unit |\n|---|--:|---|\n")
		for _, t := range j.model.Terms {
			fmt.Fprintf(out, "| %s | %s | %s |\n", t.Name, coefficient(t.Value), t.Unit)
		}
	}
}

func heldWords(e cost.Errors) string {
	return fmt.Sprintf("**%s in the median, %s at worst** (%s)", percent(e.Median), percent(e.Worst), e.At)
}

// coefficient has three significant digits; 0 is a bound of the fit.
func coefficient(v float64) string {
	if v < 1e-6 {
		return "0"
	}
	return fmt.Sprintf("%.*f", max(0, 2-int(math.Floor(math.Log10(v)))), v)
}

func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

func (m *scaleModel) held(out *strings.Builder) {
	fmt.Fprint(out, "\n## Points held out\n\n| point | measured µs | predicted µs | error |\n|---|--:|--:|--:|\n")
	for i, p := range m.all {
		if p.HeldOut {
			m.row(out, i)
		}
	}
}

// row is a point: what was measured with its smallest and largest run, and what
// the model says.
func (m *scaleModel) row(out *strings.Builder, i int) {
	p, s := m.all[i], m.spans[i]
	said := m.model.CPU.Predict(p.Point)
	fmt.Fprintf(out, "| %s | %s (%s–%s) | %s | %+.0f %% |\n", p.Point, coefficient(p.CPU), coefficient(s.Min), coefficient(s.Max),
		coefficient(said), 100*(said/p.CPU-1))
}

// loopsOff is the mean error, with its sign, at the points of small packets with
// several loops.
func (m *scaleModel) loopsOff() (off float64, points int) {
	for _, p := range m.all {
		if p.Loops > 1 && p.Size <= 200 {
			off += m.model.CPU.Predict(p.Point)/p.CPU - 1
			points++
		}
	}
	return off / float64(max(points, 1)), points
}

// poorLimit is from where an error is told among the poor ones.
const poorLimit = 0.2

// poor says where the model is not to be relied on, by its own measure.
func (m *scaleModel) poor(out *strings.Builder) {
	fmt.Fprintf(out, "\n## Where the model is poor\n\n")
	var wide, n int
	fmt.Fprintf(out, "CPU at these points is off by more than %.0f %%:\n\n", 100*poorLimit)
	for i, p := range m.all {
		if s := m.spans[i]; s.Max > 1.25*s.Min {
			wide++
		}
		if said := m.model.CPU.Predict(p.Point); math.Abs(said/p.CPU-1) > poorLimit {
			n++
			mark := ""
			if p.HeldOut {
				mark = " (held out)"
			}
			fmt.Fprintf(out, "- %s%s: measured %s µs, predicted %s, %+.0f %%\n", p.Point, mark, coefficient(p.CPU), coefficient(said), 100*(said/p.CPU-1))
		}
	}
	if n == 0 {
		fmt.Fprint(out, "- none\n")
	}
	fmt.Fprintf(out, "\nThe measurement itself is not quiet: at %d of %d points the dearest run cost more than 1.25 times the cheapest.\n", wide, len(m.all))
	if off, points := m.loopsOff(); points > 0 {
		fmt.Fprintf(out, "\nAt the %d points of small packets with several loops the prediction is %+.0f %% off on average. The model says that loops cost each other nothing; here they share two cores with agents and analyzers, and what it says of many loops may be too good by as much or more.\n", points, 100*off)
	}
	fmt.Fprint(out, `
- **Memory as fast as it goes** is told within a factor, not within per cents: how much is held depends on how late analyzers are just then. What holds is its bound (`+"`server --check`"+` prints it), not the model.
- **Between one by one and as fast as it goes** nothing was measured: the cost falls from the one to the other as packets begin to share turns.
- **Two cores** are all there was. That loops do not disturb each other on cores of their own is the design, and the points with two loops are a hint of it on cores that they shared with agents and analyzers; it is not a measurement of 16.
- **Loopback** charges the delivery of what is written to the writer. A network card does part of that on other CPUs, adds interrupts of its own, and a longer way.
- **The form of the model** was chosen on a dry run over 36 of the same points, once each, with its errors at held-out points in sight; the coefficients never saw them. Four held-out points were not in the dry run: 1 agent, 2 analyzers, 64 KiB; 10, 8, 16 KiB; 10, 32, 2 KiB; 1000, 32, 200 B. Errors at points of quite another kind may be larger.
- **Refusals are in the price:** 1,000 agents without any pause are told busy for a part of what they send, and a packet pays for those too. Agents that have a pause cost less.
- **The bandwidth of memory** is no term. How near it was here was not measured; 64 cores may well fill it, at the hundreds of Gbit/s that the predictions by CPU alone arrive at.
- Terms for bytes, turns and cut frames rise together with the size; their sum is better known than each of them.
`)
}

// forecastNetworks are in bits a second.
var forecastNetworks = []float64{25e9, 100e9}

func (m *scaleModel) predictions(out *strings.Builder) {
	e := m.judged()[0].errors(m.all, true)
	fmt.Fprintf(out, `
## Predictions, not measurements

Nothing below was measured. **Assumed**: cores like those above; loops share nothing but the table of routes, and counters that they touch once a turn; a loop is never kept from its core, and fills one core at most; agents are elsewhere and busy, spread evenly over machines and loops; analyzers take what they get; memory is as near as here (one socket, or loops kept to one). "Default" is one loop for two CPUs, which leaves the kernel the other half; "all" is `+"`--workers`"+` = cores, where the kernel's part must fit too. The network carries bytes in and the same bytes out at once, with 5 %% of headers. In brackets: what the worst error at a held-out point, %s, would make of it. That is an error of interpolation; that of this extrapolation is unknown.

### 16 and 64 cores: 1,000 busy agents, 32 analyzers

| cores | loops | packet | predicted CPU µs | predicted packets/s by CPU | Gbit/s of that | at 25 Gbit/s | at 100 Gbit/s |
|--:|--:|--:|--:|--:|--:|--:|--:|
`, percent(e.Worst))
	for _, cores := range []int{16, 64} {
		for _, loops := range []int{cores / 2, cores} {
			for _, size := range []int{200, 2 << 10, 16 << 10, 64 << 10} {
				p := cost.Point{Agents: 1000, Analyzers: 32, Size: size}
				on := cost.Machine{Cores: cores, Loops: loops, Machines: 1}
				var capped []string
				var f cost.Forecast
				for _, on.Network = range forecastNetworks {
					f = m.model.Forecast(p, on)
					capped = append(capped, bound(f))
				}
				which := "default"
				if loops == cores {
					which = "all"
				}
				fmt.Fprintf(out, "| %d | %d, %s | %s | %s | %s (%s–%s) | %.0f | %s |\n", cores, loops, which, bytesWord(size), coefficient(f.CPU),
					short(f.ByCPU), short(f.ByCPU/(1+e.Worst)), short(f.ByCPU/(1-min(e.Worst, 0.9))), f.ByCPU*float64(size)*8/1e9, strings.Join(capped, " | "))
			}
		}
	}
	fmt.Fprint(out, `
### Several machines of 16 cores, 8 loops and 25 Gbit/s: 1,000 busy agents each, 32 analyzers

Distributors know nothing of each other, so they add up, until an analyzer or its network is full. Each gives exact shares of what it has.

| machines | packet | predicted packets/s | limit | each analyzer gets | over connections |
|--:|--:|--:|---|--:|--:|
`)
	for _, machines := range []int{2, 4, 16} {
		for _, size := range []int{200, 2 << 10, 16 << 10} {
			p := cost.Point{Agents: 1000 * machines, Analyzers: 32, Size: size}
			f := m.model.Forecast(p, cost.Machine{Cores: 16, Loops: 8, Machines: machines, Network: 25e9})
			limit := "CPU"
			if f.Network < f.ByCPU {
				limit = "network"
			}
			fmt.Fprintf(out, "| %d | %s | %s | %s | %s/s, %.1f Gbit/s | %d |\n", machines, bytesWord(size), short(f.Rate()), limit,
				short(f.Rate()/32), f.Rate()/32*float64(size)*8/1e9, f.Links)
		}
	}
}

// bound is the rate with what bounds it.
func bound(f cost.Forecast) string {
	if f.Network < f.ByCPU {
		return short(f.Network) + ", network"
	}
	return short(f.ByCPU) + ", CPU"
}

// short is a number of packets for people.
func short(v float64) string {
	switch {
	case v >= 10e6:
		return fmt.Sprintf("%.0f M", v/1e6)
	case v >= 1e6:
		return fmt.Sprintf("%.1f M", v/1e6)
	default:
		return fmt.Sprintf("%.0f k", v/1e3)
	}
}

func bytesWord(size int) string {
	if size < 1<<10 {
		return fmt.Sprintf("%d B", size)
	}
	return fmt.Sprintf("%d KiB", size>>10)
}

func (m *scaleModel) points(out *strings.Builder) {
	fmt.Fprint(out, "\n## All points\n\nMedian CPU of a packet, smallest and largest run in brackets. As fast as it goes, unless a rate is told.\n\n| point | measured µs | predicted µs | error |\n|---|--:|--:|--:|\n")
	for i := range m.all {
		m.row(out, i)
	}
}
