package main

import (
	"testing"

	"sluice/internal/docstest"
)

func TestOperationsHasEverySetting(t *testing.T) {
	docstest.Settings(t, "../docs/OPERATIONS.md", "analyzer", docstest.OfStruct(t, &flags{}))
}
