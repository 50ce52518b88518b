package main

import (
	"os"
	"strings"
	"testing"

	"sluice/internal/docstest"
)

func TestOperationsHasEverySetting(t *testing.T) {
	docstest.Settings(t, "../docs/OPERATIONS.md", "agent", docstest.OfStruct(t, &flags{}))
	docstest.Settings(t, "../docs/OPERATIONS.md", "agent parse", docstest.OfStruct(t, &parseFlags{}))
}

// docs/AGENT.md tells what each flag is for.
func TestAgentPageNamesEveryFlag(t *testing.T) {
	page, err := os.ReadFile("../docs/AGENT.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range docstest.OfStruct(t, &flags{}) {
		if s.Flag != "help" && s.Flag != "version" && !strings.Contains(string(page), "--"+s.Flag) {
			t.Errorf("docs/AGENT.md does not name --%s", s.Flag)
		}
	}
}
