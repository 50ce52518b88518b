package harness

import (
	"strings"
	"testing"
	"time"
)

func TestVerdict(t *testing.T) {
	results := []*Result{
		{ID: "X1", Fault: "none", Times: 3, Due: 3, Acked: 5000, BoundIs: "none allowed", Settle: 1500 * time.Millisecond},
		{ID: "X2", Invalid: []string{"it did not fire"}},
		{ID: "X3", Invalid: []string{"it did not fire"}, Failures: []string{"1 lost"}},
	}
	if table := Markdown(results); !strings.Contains(table, "| X1 | none | 3 | 5000 | 0 | 0 | 0 (none allowed) | 1.5 s | passed |") {
		t.Error(table)
	}
	if got := results[0].Status() + results[1].Status() + results[2].Status(); got != "passedINVALIDFAILED" {
		t.Error(got)
	}
}
