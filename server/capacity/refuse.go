package capacity

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"sluice/internal/cli"
	"sluice/internal/machine"
	"sluice/server/config"
)

const fromGo = "GOMEMLIMIT"

// resolveMemory makes bytes of a share, and obeys GOMEMLIMIT if that is lower.
// It returns where the limit is from.
func (f *fitter) resolveMemory(facts machine.Facts) (source string) {
	source = "--memory-limit"
	if f.cfg.MemoryShare > 0 {
		share := int64(f.cfg.MemoryShare)
		f.cfg.MemoryLimit = (facts.Memory/100*share + facts.Memory%100*share/100) >> 20 << 20
		source = fmt.Sprintf("%d%% of the %s of %s", share, showSize(facts.Memory), facts.MemoryOf)
	} else if facts.Memory > 0 && f.cfg.MemoryLimit > facts.Memory {
		f.report.Warnings = append(f.report.Warnings, fmt.Sprintf("--memory-limit is %s, and %s has %s", showSize(f.cfg.MemoryLimit), facts.MemoryOf, showSize(facts.Memory)))
	}
	if facts.GoLimit > 0 && (f.cfg.MemoryLimit == 0 || facts.GoLimit < f.cfg.MemoryLimit) {
		f.cfg.MemoryLimit, source = facts.GoLimit, fromGo
	}
	if f.cfg.MemoryLimit > 0 && source != "--memory-limit" {
		f.show("memory-limit", source)
	}
	return source
}

// show puts the value in force into the Report.
func (f *fitter) show(flag, note string) {
	i := f.setting(flag)
	if i < 0 {
		return
	}
	f.report.Settings[i].Value = config.Show(&f.cfg, flag)
	f.report.Settings[i].Origin += ", " + note
}

// warn tells of each value that was lowered, once, with both numbers and why.
func (f *fitter) warn(presets *config.Config) {
	for i, w := range f.why {
		same := func(other lowered) bool { return other.flag == w.flag && other.what == w.what }
		if slices.ContainsFunc(f.why[:i], same) {
			continue
		}
		// The last resource that it was lowered for is the one that it fits now.
		for _, later := range f.why[i+1:] {
			if same(later) {
				w = later
			}
		}
		name := w.what
		if w.flag != "" {
			name = "--" + w.flag
		}
		before := w.field(presets).get()
		f.report.Warnings = append(f.report.Warnings, fmt.Sprintf("%s: lowered from the default of %s to %s, to fit the limit of %s %s (%s)",
			name, w.knob.show(before), w.knob.show(w.field(&f.cfg).get()), w.resource.show(w.limit), w.unit, w.source))
		if w.flag != "" {
			f.show(w.flag, "lowered from "+w.knob.show(before))
		}
	}
}

// refuse tells what is needed, what there is, and which of the values that the
// user gave could be lowered, and how far if that alone were enough.
func (f *fitter) refuse(r resource) {
	need := (sum(r.worst(&f.cfg, f.loops)) + r.grain - 1) / r.grain * r.grain
	fault := cli.Fault{Text: fmt.Sprintf("%s %s are needed at worst, and the limit is %s (%s)", r.show(need), r.unit, r.show(r.limit), r.source)}
	var lower []string
	for _, s := range r.steps {
		name := "--" + s.flag
		if !f.given(s.flag) || slices.ContainsFunc(lower, func(told string) bool { return strings.HasPrefix(told, name) }) {
			continue
		}
		if fault.Setting == "" {
			fault.Setting, fault.Value = f.named(s.flag), s.knob.show(s.field(&f.cfg).get())
		}
		if most, found := f.largest(r, s.knob); found {
			name += " to at most " + s.knob.show(most)
		}
		lower = append(lower, name)
	}
	for _, flag := range r.others {
		if f.given(flag) {
			lower = append(lower, "--"+flag)
		}
	}
	fault.Text += "; " + r.raise
	if len(lower) > 0 {
		fault.Text += ", or lower " + strings.Join(lower, " or ")
	}
	f.faults = append(f.faults, fault)
}

// named is the setting as the user gave it.
func (f *fitter) named(flag string) string {
	if !f.given(flag) {
		return "--" + flag
	}
	_, name, _ := strings.Cut(f.report.Settings[f.setting(flag)].Origin, " ")
	return name
}

// largest is the largest value of a knob that fits, everything else as it is.
func (f *fitter) largest(r resource, k knob) (most int64, found bool) {
	cfg := f.cfg
	v := k.field(&cfg)
	grains := int(v.get() / k.grain)
	n := sort.Search(grains, func(i int) bool {
		v.set(int64(grains-i) * k.grain)
		return sum(r.worst(&cfg, f.loops)) <= r.limit
	})
	return int64(grains-n) * k.grain, n < grains
}

func showSize(n int64) string {
	switch { // not exact, but read at a glance
	case n >= 10<<20:
		n = n >> 20 << 20
	case n >= 10<<10:
		n = n >> 10 << 10
	}
	return cli.FormatSize(n)
}

func showCount(n int64) string { return strconv.FormatInt(n, 10) }
