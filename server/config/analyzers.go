package config

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"
)

const analyzerForm = "must look like name=tcp://host:port?weight=40"

// takeAnalyzers takes the whole list and tells everything that is wrong in it.
// Spaces and line breaks around an entry are allowed, for the sake of YAML.
func takeAnalyzers(cfg *Config, list string) (faults []string) {
	var analyzers []Analyzer
	names, addrs := map[string]bool{}, map[string]string{}
	positive := false
	entries := strings.Split(list, ",")
	if strings.TrimSpace(entries[len(entries)-1]) == "" && len(entries) > 1 {
		entries = entries[:len(entries)-1] // a trailing comma
	}
	for i, entry := range entries {
		a, fault := parseAnalyzer(strings.TrimSpace(entry))
		if fault != "" {
			faults = append(faults, fmt.Sprintf("entry %d, %q: %s", i+1, strings.TrimSpace(entry), fault))
			continue
		}
		if names[a.Name] {
			faults = append(faults, fmt.Sprintf("entry %d: the name %s is used twice", i+1, a.Name))
		}
		if first, used := addrs[a.Addr]; used {
			faults = append(faults, fmt.Sprintf("entry %d: %s has the address of %s, %s", i+1, a.Name, first, a.Addr))
		}
		names[a.Name], addrs[a.Addr] = true, a.Name
		positive = positive || a.Weight > 0
		analyzers = append(analyzers, a)
	}
	if len(entries) > MaxAnalyzers {
		faults = append(faults, fmt.Sprintf("%d analyzers are more than the limit of %d", len(entries), MaxAnalyzers))
	}
	if !positive && len(faults) == 0 {
		faults = append(faults, "at least one analyzer must have a weight above 0")
	}
	if len(faults) == 0 {
		cfg.Analyzers = analyzers
	}
	return faults
}

func parseAnalyzer(entry string) (a Analyzer, fault string) {
	name, address, found := strings.Cut(entry, "=")
	if !found || !strings.Contains(address, "://") || strings.Contains(name, "://") {
		return a, analyzerForm
	}
	if fault := checkName(name); fault != "" {
		return a, fault
	}
	u, err := url.Parse(address)
	if err != nil {
		return a, analyzerForm
	}
	if u.Scheme != "tcp" {
		return a, fmt.Sprintf("%s:// is not supported, only tcp://", u.Scheme)
	}
	if u.User != nil || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return a, analyzerForm
	}
	if u.Hostname() == "" {
		return a, "the host is missing; " + analyzerForm
	}
	if port, err := strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
		return a, "the port must be from 1 to 65535"
	}
	weight, fault := parseWeight(u.RawQuery)
	return Analyzer{Name: name, Addr: net.JoinHostPort(u.Hostname(), u.Port()), Weight: weight}, fault
}

// parseWeight takes the part after the question mark; without one the weight is 1.
func parseWeight(query string) (weight float64, fault string) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return 0, analyzerForm
	}
	for key, given := range values {
		if key != "weight" {
			return 0, fmt.Sprintf("%s is not known, only weight", key)
		}
		if len(given) > 1 {
			return 0, "weight is given twice"
		}
		weight, err = strconv.ParseFloat(given[0], 64)
		if err != nil || weight < 0 || math.IsNaN(weight) || math.IsInf(weight, 0) {
			return 0, fmt.Sprintf("weight %q must be a number, 0 or more", given[0])
		}
		return weight, ""
	}
	return 1, ""
}

// checkName keeps names such that they need no quoting in logs, metrics and
// lists like this one.
func checkName(name string) (fault string) {
	valid := len(name) >= 1 && len(name) <= maxNameBytes
	for _, c := range []byte(name) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		valid = valid && (letter || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}
	if !valid {
		return fmt.Sprintf("the name must be 1 to %d letters, digits, dots, dashes or underscores", maxNameBytes)
	}
	return ""
}

func showAnalyzers(cfg *Config) string {
	entries := make([]string, len(cfg.Analyzers))
	for i, a := range cfg.Analyzers {
		entries[i] = a.Name + "=tcp://" + a.Addr + "?weight=" + strconv.FormatFloat(a.Weight, 'g', -1, 64)
	}
	return strings.Join(entries, ",\n")
}
