package command

import (
	"slices"
	"testing"

	"github.com/alecthomas/kong"

	"sluice/internal/docstest"
)

func TestOperationsHasEverySetting(t *testing.T) {
	parser, err := kong.New(&commands{}, kong.Name("server dead-letters"))
	if err != nil {
		t.Fatal(err)
	}
	var all []docstest.Setting
	for _, command := range parser.Model.Children {
		for _, s := range docstest.OfKong(command.Flags) {
			if s.Flag == "dead-letter-dir" {
				s.Env = "DEAD_LETTER_DIR" // from Run's own env
			}
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	docstest.Settings(t, "../../../docs/OPERATIONS.md", "server dead-letters", all)
}
