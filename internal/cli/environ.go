package cli

import (
	"os"
	"regexp"
	"slices"
	"strings"
)

// Environ is an environment in the form of os.Environ: "NAME=value" each.
// Immutable.
type Environ []string

// Environment is that of this process.
func Environment() Environ { return os.Environ() }

// Lookup is the value of a variable. An empty one counts as not set, in every
// program: a Compose file or a unit cannot always leave a variable out.
func (e Environ) Lookup(name string) (value string, set bool) {
	for _, pair := range e {
		if n, v, _ := strings.Cut(pair, "="); n == name {
			return v, v != ""
		}
	}
	return "", false
}

// Unknown warns of each variable that is none of known, but looks as if one of
// them was meant: it is spelled nearly like one, or begins like several.
func (e Environ) Unknown(known []string) (warnings []string) {
	families := familiesOf(known)
	for _, pair := range e {
		name, _, _ := strings.Cut(pair, "=")
		if slices.Contains(known, name) || serviceLink.MatchString(name) {
			continue
		}
		if near, found := nearestOf(name, known, len(name)/6); found {
			warnings = append(warnings, "environment variable "+name+" is unknown and has no effect; did you mean "+near+"?")
		} else if slices.ContainsFunc(families, func(f string) bool { return strings.HasPrefix(name, f) }) {
			warnings = append(warnings, "environment variable "+name+" is unknown and has no effect"+DidYouMean(name, known)+" (--help lists all)")
		}
	}
	return warnings
}

// serviceLink matches the variables that Kubernetes and Docker set for a
// service, whatever its name is.
var serviceLink = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT$|_PORT_\d+_(TCP|UDP)`)

// manyNames is how many of a program's variables must begin with the same word
// for that word to be taken as the program's own. One or two are no evidence:
// HTTP_PROXY is nobody's mistake for HTTP_LISTEN.
const manyNames = 3

// familiesOf are the beginnings, up to an underscore, that tell a variable as
// one of the program's: the project's name, first words that several variables
// share, and first two words of any.
func familiesOf(known []string) []string {
	families := []string{"SLUICE_"}
	count := map[string]int{}
	for _, name := range known {
		words := strings.SplitN(name, "_", 3)
		if len(words) == 1 {
			continue
		}
		if first := words[0] + "_"; count[first] < manyNames {
			if count[first]++; count[first] == manyNames {
				families = append(families, first)
			}
		}
		if len(words) == 3 {
			families = append(families, words[0]+"_"+words[1]+"_")
		}
	}
	return families
}
