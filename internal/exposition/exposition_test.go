package exposition_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"sluice/internal/exposition"
	"sluice/internal/exposition/expositiontest"
)

var (
	catalog exposition.Catalog
	eaten   = catalog.Counter("zoo_eaten_apples_total", "Apples eaten.", "animal")
	awake   = catalog.Gauge("zoo_awake", "Whether it is.", "animal")
	mood    = catalog.Gauge("zoo_mood", "Which it is in.", "animal", "mood")
	naps    = catalog.Histogram("zoo_naps_seconds", "How long they were.")
)

func written(t *testing.T, take func(*exposition.Scrape)) expositiontest.Samples {
	t.Helper()
	var out bytes.Buffer
	if err := exposition.New("zoo", &catalog, take).Write(&out); err != nil {
		t.Fatal(err)
	}
	return expositiontest.Parse(t, out.Bytes())
}

func TestWhatIsSaidIsRead(t *testing.T) {
	m := written(t, func(s *exposition.Scrape) {
		s.Number(eaten, 7, "bear")
		s.Number(eaten, 1, "no\xffUTF-8")
		s.Flag(awake, true, "bear")
		s.Flag(awake, false, "owl")
		s.OneOf(mood, []string{"good", "bad"}, "bad", "bear")
		s.Distribution(naps, 5, 12.5, map[float64]uint64{1: 2, 4: 4})
	})
	for _, tc := range []struct {
		want   float64
		metric string
		labels []string
	}{
		{7, "zoo_eaten_apples_total", []string{"animal", "bear"}}, {1, "zoo_eaten_apples_total", []string{"animal", "no\ufffdUTF-8"}},
		{1, "zoo_awake", []string{"animal", "bear"}}, {0, "zoo_awake", []string{"animal", "owl"}},
		{0, "zoo_mood", []string{"animal", "bear", "mood", "good"}}, {1, "zoo_mood", []string{"animal", "bear", "mood", "bad"}},
		{1, "sluice_build_info", []string{"program", "zoo"}},
	} {
		if got := m.Value(t, tc.metric, tc.labels...); got != tc.want {
			t.Errorf("%s%v is %v, want %v", tc.metric, tc.labels, got, tc.want)
		}
	}
	h := m.Find("zoo_naps_seconds").GetHistogram()
	if h.GetSampleCount() != 5 || h.GetSampleSum() != 12.5 || len(h.Bucket) != 3 || h.Bucket[1].GetCumulativeCount() != 4 {
		t.Errorf("%v", h)
	}
	if m["go_goroutines"] == nil || m["process_start_time_seconds"] == nil {
		t.Error("nothing of the runtime, or of the process")
	}
}

// A mistake of the program costs the scrape, and not the process or the next one.
func TestMistakes(t *testing.T) {
	mistakes := map[string]func(*exposition.Scrape){
		"too few labels":    func(s *exposition.Scrape) { s.Number(eaten, 1) },
		"said twice":        func(s *exposition.Scrape) { s.Number(eaten, 1, "bear"); s.Number(eaten, 2, "bear") },
		"a histogram's too": func(s *exposition.Scrape) { s.Distribution(naps, 1, 1, nil, "bear") },
	}
	for name, mistake := range mistakes {
		wrong := true
		e := exposition.New("zoo", &catalog, func(s *exposition.Scrape) {
			if wrong {
				mistake(s)
			}
		})
		var out bytes.Buffer
		if err := e.Write(&out); err == nil {
			t.Errorf("%s: no error, but\n%s", name, out.String())
		}
		wrong = false
		if err := e.Write(&out); err != nil {
			t.Errorf("%s: the next scrape fails, too: %v", name, err)
		}
	}
}

// A panic of whoever says the samples is the scraper's own, and the next one is
// answered.
func TestAPanicIsTheCallers(t *testing.T) {
	calls := 0
	e := exposition.New("zoo", &catalog, func(*exposition.Scrape) {
		if calls++; calls == 1 {
			panic("as the test wants")
		}
	})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic here")
			}
		}()
		_ = e.Write(&bytes.Buffer{})
	}()
	if err := e.Write(&bytes.Buffer{}); err != nil {
		t.Error(err)
	}
}

func TestOneScrapeAtATime(t *testing.T) {
	inside, calls := 0, 0
	e := exposition.New("zoo", &catalog, func(s *exposition.Scrape) {
		if inside++; inside != 1 {
			t.Error("two at a time")
		}
		calls++
		s.Number(eaten, float64(calls), "bear")
		inside--
	})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			var out strings.Builder
			if err := e.Write(&out); err != nil {
				t.Error(err)
			}
			if n := strings.Count(out.String(), "zoo_eaten_apples_total{"); n != 1 {
				t.Errorf("%d samples", n)
			}
		})
	}
	all.Wait()
	if calls != 8 {
		t.Errorf("taken %d times for 8 scrapes", calls)
	}
}
