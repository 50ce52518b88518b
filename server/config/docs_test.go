package config

import (
	"os"
	"strings"
	"testing"

	"sluice/internal/docstest"
)

func TestOperationsHasEverySetting(t *testing.T) {
	named := map[string]setting{}
	var live []string
	for _, s := range settings() {
		named[s.flag] = s
		if s.live {
			live = append(live, s.flag)
		}
	}
	all := docstest.OfStruct(t, &flags{})
	for i := range all {
		s := named[all[i].Flag] // nothing for --check
		all[i].Env, all[i].Default = s.env, s.preset
		if all[i].Flag == fileFlag {
			all[i].Env = fileEnv
		}
		if s.flag == "analyzers" {
			all[i].Default = "" // too long for a table
		}
	}
	const document = "../../docs/OPERATIONS.md"
	docstest.Settings(t, document, "server", all)
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if want := "Changed while it runs: `" + strings.Join(live, "`, `") + "`."; !strings.Contains(string(text), want) {
		t.Errorf("%s does not say: %s", document, want)
	}
}
