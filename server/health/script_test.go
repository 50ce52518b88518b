package health

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A script is lines of "event => state and effective weight of each analyzer;
// tables published so far". Analyzers are a, b, …; a has weight 3, b weight 1,
// c weight 0. Events:
//
//	ready|well LOOP ANALYZER
//	suspect|draining|lost LOOP ANALYZER [REASON]
//	failed ANALYZER ERROR
//	ticks DURATION      with a Tick every 100 ms, and nothing said of any link
//	quiet DURATION      the same, and PINGs out of the table are answered each second
//	reason ANALYZER     => its reason, instead of the summary
func runScript(t *testing.T, loops, analyzers int, slowStart time.Duration, script string) *world {
	t.Helper()
	w := newWorld(t, loops, slowStart, []float64{3, 1, 0}[:analyzers]...)
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		event, want, _ := strings.Cut(line, "=>")
		if got := w.run(strings.Fields(event)); want != "" && got != strings.TrimSpace(want) {
			t.Fatalf("%s\n got %s\nwant%s", event, got, want)
		}
	}
	return w
}

func (w *world) run(words []string) string {
	w.t.Helper()
	rest := func(i int) string { return strings.Join(words[min(i, len(words)):], " ") }
	analyzer := func(i int) int { return int(words[i][0] - 'a') }
	switch words[0] {
	case "failed":
		w.Failed(analyzer(1), errors.New(rest(2)))
	case "reason":
		return w.Status()[analyzer(1)].Reason
	case "ticks", "quiet":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		map[string]func(time.Duration, func()){"ticks": w.ticks, "quiet": w.quiet}[words[0]](d, nil)
	default:
		loop, err := strconv.Atoi(words[1])
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		w.act(words[0], loop, analyzer(2), rest(3))
	}
	return w.summary()
}

func TestScripts(t *testing.T) {
	for _, tc := range []struct {
		name             string
		loops, analyzers int
		slowStart        time.Duration
		script           string
	}{
		{"one loop is not enough", 2, 2, 10 * time.Second, `
			ready 0 a    => down 0, down 0; 0
			ready 0 a    => down 0, down 0; 0
			reason a     => 1 of 2 loops connected
			ready 1 a    => up 3, down 0; 1
			reason a     => every loop is connected`},
		{"at first contact it has its full weight, also beside others", 2, 2, 10 * time.Second, `
			reason b     => not connected yet
			failed b refused => down 0, down 0; 0
			reason b     => not connected: refused
			lost 0 b     => down 0, down 0; 0
			ready 0 a    => down 0, down 0; 0
			ready 1 b    => down 0, down 0; 0
			ready 0 b    => down 0, up 1; 1
			ready 1 a    => up 3, up 1; 2`},
		{"one loop's loss is enough, and takes effect at once", 2, 2, 10 * time.Second, `
			ready 0 a    => down 0, down 0; 0
			ready 1 a    => up 3, down 0; 1
			ready 0 b    => up 3, down 0; 1
			ready 1 b    => up 3, up 1; 2
			lost 1 a silent for 1s => down 0, up 1; 3
			reason a     => silent for 1s
			lost 0 a reset => down 0, up 1; 3
			reason a     => silent for 1s
			ready 1 a    => down 0, up 1; 3
			ready 0 a    => down 0, up 1; 3
			reason a     => 0 of 3 checks passed since: silent for 1s`},
		{"three checks on every loop, then slow start", 2, 2, 10 * time.Second, `
			ready 0 a
			ready 1 a
			ready 0 b
			ready 1 b    => up 3, up 1; 2
			lost 0 a reset => down 0, up 1; 3
			ready 0 a    => down 0, up 1; 3
			well 0 a     => down 0, up 1; 3
			well 1 a     => down 0, up 1; 3
			ticks 900ms  => down 0, up 1; 3
			well 0 a     => down 0, up 1; 3
			well 0 a     => down 0, up 1; 3
			well 1 a     => recovering 0, up 1; 3
			reason a     => 1 of 3 checks passed
			ticks 1s
			well 0 a     => recovering 0, up 1; 3
			well 1 a     => recovering 0, up 1; 3
			reason a     => 2 of 3 checks passed
			ticks 1s
			well 0 a     => recovering 0, up 1; 3
			well 1 a     => recovering 0.3, up 1; 4
			reason a     => slow start, 10 % of weight
			ticks 100ms  => recovering 0.3, up 1; 4
			ticks 100ms  => recovering 0.354, up 1; 5
			ticks 4.8s   => recovering 1.65, up 1; 29
			reason a     => slow start, 55 % of weight
			ticks 4.9s   => recovering 2.946, up 1; 53
			ticks 100ms  => up 3, up 1; 54
			reason a     => recovered, at full weight`},
		{"without slow start the last check is the last step", 1, 2, 0, `
			ready 0 a
			ready 0 b    => up 3, up 1; 2
			lost 0 b     => up 3, down 0; 3
			ready 0 b
			quiet 1s     => up 3, recovering 0; 3
			quiet 1900ms => up 3, recovering 0; 3
			quiet 100ms  => up 3, up 1; 4`},
		{"a short slow start steps no faster than every 100 ms", 1, 2, time.Second, `
			ready 0 a
			ready 0 b
			lost 0 b
			ready 0 b
			quiet 3s     => up 3, recovering 0.1; 4
			quiet 900ms  => up 3, recovering 0.91; 13
			quiet 100ms  => up 3, up 1; 14`},
		{"lost before the first check: no transition", 1, 2, time.Second, `
			ready 0 a
			ready 0 b
			lost 0 b reset => up 3, down 0; 3
			ready 0 b    => up 3, down 0; 3
			lost 0 b closed => up 3, down 0; 3
			reason b     => closed
			ready 0 b    => up 3, down 0; 3
			quiet 500ms  => up 3, down 0; 3`},
		{"lost in slow start begins anew", 1, 2, time.Second, `
			ready 0 a
			ready 0 b
			lost 0 b
			ready 0 b
			quiet 3s     => up 3, recovering 0.1; 4
			lost 0 b     => up 3, down 0; 5
			ready 0 b    => up 3, down 0; 5
			quiet 2900ms => up 3, recovering 0; 5
			quiet 100ms  => up 3, recovering 0.1; 6`},
		{"checks of the loops that kept their link begin anew, too", 2, 2, 0, `
			ready 0 a
			ready 1 a
			ready 0 b
			ready 1 b
			suspect 0 b late
			quiet 1s
			well 0 b
			lost 1 b     => up 3, down 0; 3
			ready 1 b
			quiet 900ms  => up 3, down 0; 3
			well 1 b     => up 3, down 0; 3
			well 0 b     => up 3, recovering 0; 3`},
		{"nobody else has weight: full weight at once, in the middle of checks", 1, 2, 10 * time.Second, `
			ready 0 a
			ready 0 b
			lost 0 b
			ready 0 b
			quiet 2s     => up 3, recovering 0; 3
			lost 0 a     => down 0, up 1; 4
			reason b     => at full weight at once, no other analyzer takes packets
			ready 0 a    => down 0, up 1; 4
			lost 0 b     => up 3, down 0; 5`},
		{"nobody else has weight: full weight at once, in the middle of slow start", 1, 2, 10 * time.Second, `
			ready 0 a
			ready 0 b
			lost 0 b
			ready 0 b
			quiet 5s     => up 3, recovering 0.28; 14
			draining 0 a => draining 0, up 1; 15`},
		{"the last one comes back: at once", 1, 1, 10 * time.Second, `
			ready 0 a    => up 3; 1
			lost 0 a     => down 0; 2
			ready 0 a    => up 3; 3`},
		{"an analyzer of weight 0 has states, and nobody hears of it", 1, 3, time.Second, `
			ready 0 c    => down 0, down 0, up 0; 0
			ready 0 a
			ready 0 b    => up 3, up 1, up 0; 2
			lost 0 c     => up 3, up 1, down 0; 2
			ready 0 c    => up 3, up 1, down 0; 2
			quiet 2s     => up 3, up 1, recovering 0; 2
			quiet 1s     => up 3, up 1, recovering 0; 2
			reason c     => slow start, 10 % of weight
			quiet 1s     => up 3, up 1, up 0; 2`},
		{"an analyzer of weight 0 does not stand in for others", 1, 3, time.Second, `
			ready 0 b
			ready 0 c
			lost 0 c
			ready 0 c    => down 0, up 1, down 0; 1
			lost 0 b     => down 0, down 0, down 0; 2
			ready 0 b    => down 0, up 1, down 0; 3`},
		{"suspect keeps its weight and is held for a second", 2, 2, 10 * time.Second, `
			ready 0 a
			ready 1 a
			ready 0 b
			ready 1 b    => up 3, up 1; 2
			suspect 0 b silent for 500ms => up 3, suspect 1; 2
			suspect 1 b its oldest packet is late => up 3, suspect 1; 2
			ticks 5s     => up 3, suspect 1; 2
			well 0 b     => up 3, suspect 1; 2
			ticks 2s     => up 3, suspect 1; 2
			well 1 b     => up 3, suspect 1; 2
			reason b     => its oldest packet is late
			ticks 900ms  => up 3, suspect 1; 2
			suspect 0 b late again => up 3, suspect 1; 2
			well 0 b     => up 3, suspect 1; 2
			ticks 900ms  => up 3, suspect 1; 2
			ticks 100ms  => up 3, up 1; 2
			reason b     => no suspect link for 1s`},
		{"suspect in slow start stops it, and it goes on where it stood", 1, 2, 10 * time.Second, `
			ready 0 a
			ready 0 b
			lost 0 b
			ready 0 b
			quiet 8s     => up 3, recovering 0.55; 29
			suspect 0 b late => up 3, suspect 0.55; 29
			ticks 5s     => up 3, suspect 0.55; 29
			well 0 b
			ticks 1s     => up 3, recovering 0.55; 29
			ticks 5s     => up 3, up 1; 54`},
		{"suspect while it is checked: the checks begin anew, the state stays", 1, 2, 0, `
			ready 0 a
			ready 0 b
			lost 0 b
			ready 0 b
			quiet 2s     => up 3, recovering 0; 3
			reason b     => 2 of 3 checks passed
			suspect 0 b late => up 3, recovering 0; 3
			reason b     => 0 of 3 checks passed
			ticks 900ms
			well 0 b
			reason b     => 1 of 3 checks passed`},
		{"a suspect that is lost is down", 1, 2, 0, `
			ready 0 a
			ready 0 b
			suspect 0 b late => up 3, suspect 1; 2
			lost 0 b silent  => up 3, down 0; 3
			well 0 b     => up 3, down 0; 3
			suspect 0 b late => up 3, down 0; 3`},
		{"GOAWAY: no weight at once, then down", 2, 2, 10 * time.Second, `
			ready 0 a
			ready 1 a
			ready 0 b
			ready 1 b    => up 3, up 1; 2
			draining 0 b restarting => up 3, draining 0; 3
			reason b     => restarting
			draining 1 b restarting => up 3, draining 0; 3
			lost 0 b closed => up 3, down 0; 3
			reason b     => restarting
			lost 1 b closed => up 3, down 0; 3
			ready 0 b    => up 3, down 0; 3
			ready 1 b    => up 3, down 0; 3
			draining 0 b => up 3, down 0; 3`},
		{"GOAWAY of the last one leaves the table empty", 1, 2, 10 * time.Second, `
			ready 0 a    => up 3, down 0; 1
			draining 0 a => draining 0, down 0; 2
			ready 0 b    => draining 0, up 1; 3`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			runScript(t, tc.loops, tc.analyzers, tc.slowStart, tc.script)
		})
	}
}

// The table's shares are those of the effective weights.
func TestSharesFollowTheEffectiveWeights(t *testing.T) {
	w := runScript(t, 1, 2, 10*time.Second, `
		ready 0 a
		ready 0 b
		lost 0 a
		ready 0 a
		quiet 8s => recovering 1.65, up 1; 29`)
	if got, want := fmt.Sprintf("%.6f %.6f", w.share(0), w.share(1)), fmt.Sprintf("%.6f %.6f", 1.65/2.65, 1/2.65); got != want {
		t.Errorf("shares %s, want %s", got, want)
	}
}
