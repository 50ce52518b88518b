package command

import (
	"slices"
	"testing"

	"sluice/internal/cli"
	"sluice/internal/docstest"
)

func TestOperationsHasEverySetting(t *testing.T) {
	model, err := cli.Model(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	var all []docstest.Setting
	for _, command := range model.Children {
		for _, s := range docstest.OfKong(command.Flags) {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	docstest.Settings(t, "../../../docs/OPERATIONS.md", "server dead-letters", all)
}
