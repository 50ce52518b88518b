package main

import (
	"testing"

	"sluice/internal/docstest"
)

func TestOperationsHasEverySetting(t *testing.T) {
	docstest.Settings(t, "../docs/OPERATIONS.md", "agent", docstest.OfStruct(t, &flags{}))
	docstest.Settings(t, "../docs/OPERATIONS.md", "agent parse", docstest.OfStruct(t, &parseFlags{}))
}
