package cli

import "strings"

// DidYouMean names the nearest of names, if one is near: "; did you mean x?",
// or nothing. Case, dashes and underscores make no difference.
func DidYouMean(got string, names []string) string {
	nearest, found := nearestOf(got, names, 1+len(got)/3)
	if !found {
		return ""
	}
	return "; did you mean " + nearest + "?"
}

// nearestOf is the first of the names that are nearest to got, at most so far.
func nearestOf(got string, names []string, most int) (nearest string, found bool) {
	got = folded(got)
	for _, name := range names {
		if d := distance(got, folded(name)); d <= most && (!found || d < most) {
			nearest, most, found = name, d, true
		}
	}
	return nearest, found
}

func folded(name string) string { return strings.ToLower(strings.ReplaceAll(name, "-", "_")) }

// distance is Levenshtein's: how many letters must be inserted, removed or
// replaced to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
