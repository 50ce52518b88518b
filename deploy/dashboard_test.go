package deploy

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// dashboard is what is checked of Grafana's JSON.
type dashboard struct {
	UID, Title  string
	Panels      []panel
	Annotations struct {
		List []struct{ Name, Expr string }
	}
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ H, W, X, Y int }
	Targets                  []struct{ Expr, LegendFormat, RefID string }
}

func readDashboard(t *testing.T) (d dashboard, text string) {
	t.Helper()
	raw, err := os.ReadFile("grafana/sluice.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d, string(raw)
}

// rows are panels that hold no query.
const rowType = "row"

// queries are all that the dashboard asks, with what they are for.
func (d *dashboard) queries() (all [][2]string) {
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			all = append(all, [2]string{p.Title + " " + q.RefID, q.Expr})
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, [2]string{"annotation " + a.Name, a.Expr})
	}
	return all
}

// Each query asks for what a program tells; a program that stops telling it, or
// a slip of the pen, leaves a panel empty for ever.
func TestDashboardAsksForWhatIsTold(t *testing.T) {
	_, v := system(t)
	d, _ := readDashboard(t)
	asked := map[string]bool{}
	for _, q := range d.queries() {
		used, faults := v.judge(q[1])
		if len(faults) > 0 {
			t.Errorf("%s: %s, in %s", q[0], strings.Join(faults, "; "), q[1])
		}
		for _, m := range used {
			asked[m] = true
		}
	}
	if len(asked) < 50 {
		t.Errorf("only %d metrics are asked for", len(asked))
	}
	for _, variable := range d.Templating.List {
		if variable.Type != "query" {
			continue
		}
		inside := strings.TrimSuffix(strings.TrimPrefix(variable.Definition, "label_values("), ")")
		at := strings.LastIndex(inside, ",")
		if _, faults := v.judge(inside[:at]); len(faults) > 0 || !v.labels[strings.TrimSpace(inside[at+1:])] {
			t.Errorf("variable %s: %v in %s", variable.Name, faults, variable.Definition)
		}
	}
}

var legendLabel = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// No panel without a query, a place and a word of what it shows; no variable
// that nothing uses.
func TestDashboardHasNothingUnused(t *testing.T) {
	_, v := system(t)
	d, text := readDashboard(t)
	if d.UID == "" || d.Title == "" {
		t.Error("no uid or no title")
	}
	ids, titles, taken := map[int]bool{}, map[string]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || titles[p.Title] || p.Title == "" {
			t.Errorf("panel %d %q is there twice, or has no title", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		if p.GridPos.W < 1 || p.GridPos.H < 1 || p.GridPos.X < 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s has no place: %+v", p.Title, p.GridPos)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies over %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == rowType {
			continue
		}
		if len(p.Targets) == 0 || p.Description == "" {
			t.Errorf("%s shows nothing, or does not say what", p.Title)
		}
		for _, q := range p.Targets {
			for _, label := range legendLabel.FindAllStringSubmatch(q.LegendFormat, -1) {
				if !v.labels[label[1]] {
					t.Errorf("%s: the legend names %s, which nobody has", p.Title, label[1])
				}
			}
		}
	}
	for _, variable := range d.Templating.List {
		if !strings.Contains(text, "$"+variable.Name) && !strings.Contains(text, "${"+variable.Name+"}") {
			t.Errorf("nothing uses the variable %s", variable.Name)
		}
	}
}
