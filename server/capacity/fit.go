// Package capacity makes a configuration fit the machine. It knows what each
// limit costs in memory and descriptors, adds up the worst case, and lowers
// defaults, or refuses what the user gave, until that fits.
package capacity

import (
	"slices"
	"sort"

	"sluice/internal/cli"
	"sluice/internal/machine"
	"sluice/server/config"
)

// Fit makes a loaded configuration fit the machine. It resolves the memory
// limit, checks the limits that depend on each other, computes the worst case of memory and descriptors, and lowers defaults
// until they fit, with a warning for each in the Report. Values that the user
// gave are never changed: if they do not fit, the error is an *cli.Errors that says
// what is needed. What nobody could tell of the machine limits nothing.
func Fit(cfg config.Config, loaded config.Report, facts machine.Facts) (config.Config, Report, error) {
	report := Report{Report: loaded}
	if report.Done {
		return cfg, report, nil
	}
	f := fitter{cfg: cfg, loops: cfg.Loops(facts.CPUs), report: &report}
	relate(&f.cfg)
	report.Settings = append([]config.Setting(nil), report.Settings...)
	memorySource := f.resolveMemory(facts)
	presets := f.cfg
	f.fit(descriptors(facts.Descriptors))
	f.fit(memory(&f.cfg, f.loops, memorySource))
	f.warn(&presets)
	f.faults = append(f.faults, f.unrelated()...)
	report.Memory, report.MemoryLimit = memoryAtWorst(&f.cfg, f.loops), f.cfg.MemoryLimit
	report.Descriptors, report.DescriptorLimit = descriptorsAtWorst(&f.cfg, f.loops), facts.Descriptors
	if len(f.faults) > 0 {
		return f.cfg, report, &cli.Errors{Faults: f.faults}
	}
	return f.cfg, report, nil
}

// fitter is one call of Fit. Owned by it.
type fitter struct {
	cfg    config.Config
	loops  int
	report *Report
	faults []cli.Fault
	why    []lowered
}

// lowered says for which resource a knob was lowered.
type lowered struct {
	knob
	resource
}

func (f *fitter) fit(r resource) {
	if r.limit <= 0 {
		return
	}
	fits := func() bool { return sum(r.worst(&f.cfg, f.loops)) <= r.limit }
	for _, s := range r.steps {
		if fits() {
			return
		}
		v := s.field(&f.cfg)
		from := v.get()
		if f.given(s.flag) || from <= s.floor {
			continue
		}
		// The largest value that fits, in grains above the floor.
		grains := (from - s.floor) / s.grain
		k := sort.Search(int(grains)+1, func(i int) bool {
			v.set(s.floor + (grains-int64(i))*s.grain)
			return fits()
		})
		v.set(s.floor + max(grains-int64(k), 0)*s.grain)
		f.why = append(f.why, lowered{s.knob, r})
	}
	if !fits() {
		f.refuse(r)
	}
}

// given says whether the user gave a setting; a value without a flag is never.
func (f *fitter) given(flag string) bool {
	i := f.setting(flag)
	return i >= 0 && f.report.Settings[i].Given()
}

func (f *fitter) setting(flag string) int {
	return slices.IndexFunc(f.report.Settings, func(s config.Setting) bool { return s.Flag == flag })
}
