package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"sluice/internal/exposition/expositiontest"
)

// vocabulary is what queries may use: metrics, and for each its labels with the
// values that were seen.
type vocabulary struct {
	metrics map[string]map[string][]string
	labels  map[string]bool
}

func newVocabulary() *vocabulary {
	v := &vocabulary{metrics: map[string]map[string][]string{"up": {}}, labels: map[string]bool{"job": true, "instance": true, "le": true}}
	return v
}

// choices are the labels whose values are ours and all said from the start, so
// that a query for another one can never find anything.
var choices = []string{"code", "reason", "state", "program", "level"}

func (v *vocabulary) learn(samples expositiontest.Samples) {
	for name, family := range samples {
		names := []string{name}
		if family.GetType() == dto.MetricType_HISTOGRAM {
			names = []string{name + "_bucket", name + "_sum", name + "_count"}
		}
		for _, name := range names {
			if v.metrics[name] == nil {
				v.metrics[name] = map[string][]string{}
			}
			for _, m := range family.Metric {
				for _, l := range m.Label {
					v.labels[l.GetName()] = true
					v.metrics[name][l.GetName()] = append(v.metrics[name][l.GetName()], l.GetValue())
				}
			}
		}
	}
}

var (
	quoted    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	selector  = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}`)
	matcher   = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	grouping  = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	durations = regexp.MustCompile(`\[[^\]]*\]`)
	braces    = regexp.MustCompile(`\{[^}]*\}`)
	words     = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9][0-9a-zA-Z.]*|\(`)
)

// operators are the words of PromQL that are no metrics and are not followed by a
// bracket.
var operators = []string{"and", "or", "unless", "bool", "offset", "sum", "min", "max", "avg", "count"}

// judge says what is wrong with a query: metrics and labels that nobody tells,
// and values that a label never has. It returns the metrics that it uses.
func (v *vocabulary) judge(expr string) (used, faults []string) {
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			faults = append(faults, v.judgeMatcher(s[1], m[1], m[3])...)
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(braces.ReplaceAllString(expr, ""), -1) {
		for label := range strings.SplitSeq(g[2], ",") {
			if label = strings.TrimSpace(label); label != "" && !v.labels[label] {
				faults = append(faults, "nobody has a label "+label)
			}
		}
	}
	rest := quoted.ReplaceAllString(expr, "")
	for _, cut := range []*regexp.Regexp{braces, durations, grouping} {
		rest = cut.ReplaceAllString(rest, " ")
	}
	tokens := words.FindAllString(rest, -1)
	for i, token := range tokens {
		isCall := i+1 < len(tokens) && tokens[i+1] == "("
		if token == "(" || isCall || token[0] >= '0' && token[0] <= '9' || slices.Contains(operators, token) {
			continue
		}
		used = append(used, token)
		if v.metrics[token] == nil {
			faults = append(faults, "nobody tells "+token)
		}
	}
	if len(used) == 0 {
		faults = append(faults, "it asks for nothing")
	}
	return used, faults
}

func (v *vocabulary) judgeMatcher(metric, label, values string) (faults []string) {
	if label == "job" || label == "instance" {
		return nil
	}
	seen, has := v.metrics[metric][label]
	if !has && v.metrics[metric] != nil {
		return []string{fmt.Sprintf("%s has no label %s", metric, label)}
	}
	if !slices.Contains(choices, label) {
		return nil
	}
	for value := range strings.SplitSeq(values, "|") {
		if has && !slices.Contains(seen, value) {
			faults = append(faults, fmt.Sprintf("%s of %s is never %s", label, metric, value))
		}
	}
	return faults
}

func TestJudge(t *testing.T) {
	v := newVocabulary()
	v.metrics["a_total"] = map[string][]string{"code": {"busy", "invalid"}, "name": {"x"}}
	v.metrics["h_bucket"] = map[string][]string{"le": {"1"}}
	v.labels["code"] = true
	for expr, want := range map[string]string{
		`sum(rate(a_total[5m]))`: "",
		`sum by (job, code) (rate(a_total{code=~"busy|invalid",name="anything",job=~"$job"}[$__rate_interval])) / 5`: "",
		`histogram_quantile(0.99, sum by (le) (rate(h_bucket[5m]))) > 1e15`:                                          "",
		`up == 0 and on (job) last_over_time(a_total[1h]) unless on (instance) (up == bool 1)`:                       "",
		`round(a_total, 0.1) * on (job) group_left (code) up`:                                                        "",
		`sum(rate(b_total[5m]))`:                     "nobody tells b_total",
		`a_total + c`:                                "nobody tells c",
		`c / a_total`:                                "nobody tells c",
		`sum(c)`:                                     "nobody tells c",
		`a_total{code="bussy"}`:                      "code of a_total is never bussy",
		`a_total{code=~"busy|gone"}`:                 "code of a_total is never gone",
		`a_total{reason="busy"}`:                     "a_total has no label reason",
		`sum by (jobs) (a_total)`:                    "nobody has a label jobs",
		`a_total{name="is (c) and by (d)"}`:          "",
		`vector(0)`:                                  "it asks for nothing",
		`topk(10, a_total) or (a_total offset 5m)`:   "",
		`label_replace(a_total, "x", "$1", "c", "")`: "",
	} {
		_, faults := v.judge(expr)
		if got := strings.Join(faults, "; "); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}
