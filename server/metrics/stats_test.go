package metrics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/exposition/expositiontest"
	"sluice/server/dispatch"
	"sluice/server/stats"
)

// said is where one leaf of the JSON of /stats is in /metrics.
type said struct {
	metric string
	label  string // of what stands in place of the * of a map
	how    func(t *testing.T, m expositiontest.Samples, value any, metric string, labels []string)
}

// table says it of every leaf. A field of /stats that is new needs a metric, and
// a line here.
var table = map[string]said{
	"uptime_seconds":        number("sluice_uptime_seconds"),
	"dropped_log_lines":     number("sluice_dropped_log_lines_total"),
	"loops":                 number("sluice_loops"),
	"draining":              number("sluice_draining"),
	"received_packets":      number("sluice_received_packets_total"),
	"received_messages":     number("sluice_received_messages_total"),
	"received_bytes":        number("sluice_received_bytes_total"),
	"delivered_packets":     number("sluice_delivered_packets_total"),
	"rejected_packets.*":    numberBy("sluice_rejected_packets_total", "code"),
	"redispatched_packets":  number("sluice_redispatched_packets_total"),
	"spilled_packets":       number("sluice_spilled_packets_total"),
	"dead_lettered_packets": number("sluice_dead_lettered_packets_total"),
	"abandoned_packets":     number("sluice_abandoned_packets_total"),
	"queued_packets":        number("sluice_queue_packets"),
	"max_queued_packets":    number("sluice_queue_max_packets"),
	"in_flight_packets":     number("sluice_in_flight_packets"),
	"unaccounted_packets":   number("sluice_unaccounted_packets"),
	"sessions":              number("sluice_sessions"),
	"hung_up_sessions":      number("sluice_hung_up_sessions_total"),
	"late_answers":          number("sluice_late_answers_total"),
	"false_acks":            number("sluice_false_acks_total"),

	"byte_budget.used_bytes": number("sluice_byte_budget_used_bytes"),
	"byte_budget.max_bytes":  number("sluice_byte_budget_max_bytes"),

	"dead_letters.packets":          number("sluice_dead_letter_packets"),
	"dead_letters.refused_packets":  number("sluice_dead_letter_refused_packets"),
	"dead_letters.replayed_packets": number("sluice_dead_letter_replayed_packets_total"),
	"dead_letters.damaged_files":    number("sluice_dead_letter_damaged_files"),
	"dead_letters.bytes":            number("sluice_dead_letter_bytes"),
	"dead_letters.reserved_bytes":   number("sluice_dead_letter_reserved_bytes"),
	"dead_letters.max_bytes":        number("sluice_dead_letter_max_bytes"),
	"dead_letters.oldest_at":        moment("sluice_dead_letter_oldest_timestamp_seconds"),
	"dead_letters.writable":         number("sluice_dead_letter_writable"),
	"dead_letters.full":             number("sluice_dead_letter_full"),
	"dead_letters.error":            explains("sluice_dead_letter_writable"),

	"connections.open":            number("sluice_connections_open"),
	"connections.max":             number("sluice_connections_max"),
	"connections.accepted":        number("sluice_connections_accepted_total"),
	"connections.refused.*":       numberBy("sluice_connections_refused_total", "reason"),
	"connections.accept_errors.*": numberBy("sluice_accept_errors_total", "reason"),
	"config_generation":           number("sluice_config_generation"),
	"config_loaded_at":            moment("sluice_config_loaded_timestamp_seconds"),
	"config_last_error":           explains("sluice_config_last_reload_successful"),
	"http.requests":               number("sluice_http_requests_total"),
	"http.refused.*":              numberBy("sluice_http_refused_requests_total", "reason"),

	"analyzers[].name":                      labelled("sluice_analyzer_info", "analyzer"),
	"analyzers[].address":                   labelled("sluice_analyzer_info", "address"),
	"analyzers[].state":                     labelled("sluice_analyzer_state", "state"),
	"analyzers[].since":                     moment("sluice_analyzer_state_since_timestamp_seconds"),
	"analyzers[].reason":                    explains("sluice_analyzer_state"),
	"analyzers[].transitions":               number("sluice_analyzer_transitions_total"),
	"analyzers[].weight":                    number("sluice_analyzer_weight"),
	"analyzers[].effective_weight":          number("sluice_analyzer_effective_weight"),
	"analyzers[].target_share":              number("sluice_analyzer_target_share_ratio"),
	"analyzers[].effective_share":           number("sluice_analyzer_effective_share_ratio"),
	"analyzers[].actual_share":              number("sluice_analyzer_actual_share_ratio"),
	"analyzers[].actual_share_since_change": number("sluice_analyzer_actual_share_since_change_ratio"),
	"analyzers[].picked_packets":            number("sluice_analyzer_picked_packets_total"),
	"analyzers[].dispatched_packets":        number("sluice_analyzer_dispatched_packets_total"),
	"analyzers[].delivered_packets":         number("sluice_analyzer_delivered_packets_total"),
	"analyzers[].in_flight_packets":         number("sluice_analyzer_in_flight_packets"),
	"analyzers[].redispatched_packets":      number("sluice_analyzer_redispatched_packets_total"),
	"analyzers[].links":                     number("sluice_analyzer_links"),
	"analyzers[].link_failures":             number("sluice_analyzer_link_failures_total"),
	"analyzers[].last_error":                explains("sluice_analyzer_link_failures_total"),
	"analyzers[].ack_latency_ms.p50":        quantile("sluice_analyzer_ack_latency_seconds", 0.5),
	"analyzers[].ack_latency_ms.p99":        quantile("sluice_analyzer_ack_latency_seconds", 0.99),
}

// number: the same number is there, 1 or 0 for true or false.
func number(metric string) said { return numberBy(metric, "") }

// numberBy: for each key of a map, under a label.
func numberBy(metric, label string) said {
	return said{metric, label, func(t *testing.T, m expositiontest.Samples, value any, metric string, labels []string) {
		want, isNumber := value.(float64)
		if b, isBool := value.(bool); isBool {
			if isNumber = true; b {
				want = 1
			}
		}
		if got := m.Value(t, metric, labels...); !isNumber || got != want {
			t.Errorf("%s%v is %v, /stats has %v", metric, labels, got, value)
		}
	}}
}

// moment: the same time is there, in seconds since 1970.
func moment(metric string) said {
	return said{metric, "", func(t *testing.T, m expositiontest.Samples, value any, metric string, labels []string) {
		want, err := time.Parse(time.RFC3339Nano, fmt.Sprint(value))
		if got := m.Value(t, metric, labels...); err != nil || math.Abs(got-float64(want.UnixNano())/1e9) > 0.001 {
			t.Errorf("%s%v is %f, /stats has %v", metric, labels, got, value)
		}
	}}
}

// labelled: there is a sample of value 1 whose label is that text.
func labelled(metric, label string) said {
	return said{metric, "", func(t *testing.T, m expositiontest.Samples, value any, metric string, labels []string) {
		labels = append(labels, label, fmt.Sprint(value))
		if got := m.Value(t, metric, labels...); got != 1 {
			t.Errorf("%s%v is %v", metric, labels, got)
		}
	}}
}

// explains: free text, which is no label; what it explains is there.
func explains(metric string) said {
	return said{metric, "", func(t *testing.T, m expositiontest.Samples, value any, metric string, labels []string) {
		if m.Find(metric, labels...) == nil {
			t.Errorf("no %s%v", metric, labels)
		}
	}}
}

// quantile: it lies in the bucket of the histogram that holds the quantile.
func quantile(metric string, q float64) said {
	return said{metric, "", func(t *testing.T, m expositiontest.Samples, value any, metric string, labels []string) {
		found := m.Find(metric, labels...)
		if found == nil || found.Histogram == nil {
			t.Fatalf("no histogram %s%v", metric, labels)
		}
		h, below := found.Histogram, 0.0
		if h.GetSampleCount() == 0 {
			if value != 0.0 {
				t.Errorf("%s%v is empty, /stats has %v ms", metric, labels, value)
			}
			return
		}
		for _, b := range h.Bucket {
			if float64(b.GetCumulativeCount()) > q*float64(h.GetSampleCount()-1) {
				if at, isNumber := value.(float64); !isNumber || at/1000 <= below || at/1000 > b.GetUpperBound() {
					t.Errorf("%s%v has quantile %v from %v to %v s, /stats has %v ms", metric, labels, q, below, b.GetUpperBound(), value)
				}
				return
			}
			below = b.GetUpperBound()
		}
	}}
}

// Check walks the JSON of /stats and finds every leaf in the samples. It returns
// the paths that it met. The values of moving ones are not compared.
func Check(t *testing.T, text []byte, m expositiontest.Samples, moving ...string) (met []string) {
	t.Helper()
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	walk(tree, "", nil, func(path, key string, labels []string, leaf any) {
		s, known := table[path]
		if !known {
			t.Errorf("%s of /stats has no metric: give it one, and a line in the table of this test", path)
			return
		}
		met = append(met, path)
		if key != "" {
			labels = append(labels, s.label, key)
		}
		if slices.Contains(moving, path) {
			s = explains(s.metric)
		}
		s.how(t, m, leaf, s.metric, labels)
	})
	return met
}

// walk tells of every leaf: its path, in which a * stands for the keys of the
// maps (their key is told), [] for the members of lists, and the label that
// names the member.
func walk(v any, path string, labels []string, tell func(path, key string, labels []string, leaf any)) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			at := strings.TrimPrefix(path+"."+key, ".")
			if _, known := table[path+".*"]; known {
				tell(path+".*", key, slices.Clone(labels), child)
				continue
			}
			walk(child, at, labels, tell)
		}
	case []any:
		for _, child := range v {
			name := child.(map[string]any)["name"].(string)
			walk(child, path+"[]", []string{"analyzer", name}, tell)
		}
	default:
		tell(path, "", slices.Clone(labels), v)
	}
}

// Every field of /stats, set to a value that no other has, is found where the
// table says; and the table says nothing of fields that are gone.
func TestEveryFieldOfStatsHasAMetric(t *testing.T) {
	for _, truth := range []bool{true, false} {
		snapshot := filled(t, truth)
		text, err := json.Marshal(snapshot)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := New(func() stats.Snapshot { return snapshot }).Write(&out); err != nil {
			t.Fatal(err)
		}
		m := expositiontest.Parse(t, out.Bytes())
		met := Check(t, text, m)
		for path := range table {
			if !slices.Contains(met, path) {
				t.Errorf("the table has %s, which is not in /stats", path)
			}
		}
		for _, name := range catalog.Names() {
			if m[name] == nil {
				t.Errorf("%s is declared and never said", name)
			}
		}
	}
}

// Two analyzers of one name do not cost the scrape: the first is told.
func TestTwoAnalyzersOfOneName(t *testing.T) {
	snapshot := filled(t, true)
	snapshot.Analyzers[1].Name = snapshot.Analyzers[0].Name
	var out bytes.Buffer
	if err := New(func() stats.Snapshot { return snapshot }).Write(&out); err != nil {
		t.Fatal(err)
	}
	m := expositiontest.Parse(t, out.Bytes())
	if got, want := m.Value(t, "sluice_analyzer_weight"), snapshot.Analyzers[0].Weight; got != want || len(m["sluice_analyzer_weight"].Metric) != 1 {
		t.Errorf("weight %v, want %v, of %d", got, want, len(m["sluice_analyzer_weight"].Metric))
	}
}

// filled has a value of its own in every field, truth in every flag.
func filled(t testing.TB, truth bool) stats.Snapshot {
	t.Helper()
	var s stats.Snapshot
	next := 1000
	fill(reflect.ValueOf(&s).Elem(), truth, &next)
	for i := range s.Analyzers {
		a := &s.Analyzers[i]
		a.State = states[i]
		var h dispatch.Latency
		h.Buckets[40+i], h.Buckets[60+i] = 1000, uint64(20+i)
		a.Latency = h
		a.AckLatency = stats.Quantiles{P50: float64(h.Quantile(0.5)) / 1e6, P99: float64(h.Quantile(0.99)) / 1e6}
	}
	return s
}

func fill(v reflect.Value, truth bool, next *int) {
	*next++
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(int64(*next), 0).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), truth, next)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), truth, next)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, key := range []string{"one", "two"} {
			value := reflect.New(v.Type().Elem()).Elem()
			fill(value, truth, next)
			v.SetMapIndex(reflect.ValueOf(key), value)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), truth, next)
		}
	case reflect.Array:
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *next))
	case reflect.Bool:
		v.SetBool(truth)
	case reflect.Float64:
		v.SetFloat(float64(*next) + 0.5)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*next))
	case reflect.Uint64:
		v.SetUint(uint64(*next))
	default:
		panic("no value for a " + v.Type().String())
	}
}
