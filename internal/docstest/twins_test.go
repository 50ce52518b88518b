package docstest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// TestNoCaseOnlyTwins: no type has two methods whose
// names differ only in case. Who reads one would take it for the other.
func TestNoCaseOnlyTwins(t *testing.T) {
	root := filepath.Join("..", "..")
	names := map[string]map[string]map[string]bool{} // package folder and type, lower case, as written
	note := func(of, name string) {
		if names[of] == nil {
			names[of] = map[string]map[string]bool{}
		}
		lower := strings.ToLower(name)
		if names[of][lower] == nil {
			names[of][lower] = map[string]bool{}
		}
		names[of][lower][name] = true
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name != ".." && (strings.HasPrefix(name, ".") || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv != nil {
				note(filepath.Dir(path)+" "+receiver(f.Recv.List[0].Type), f.Name.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 100 {
		t.Fatalf("only %d types with methods were found", len(names))
	}
	var twins []string
	for of, byLower := range names {
		for _, written := range byLower {
			if len(written) > 1 {
				var all []string
				for name := range written {
					all = append(all, name)
				}
				sort.Strings(all)
				twins = append(twins, of+": "+strings.Join(all, ", "))
			}
		}
	}
	sort.Strings(twins)
	for _, twin := range twins {
		t.Error(strings.TrimPrefix(twin, root+string(filepath.Separator)))
	}
}

func receiver(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.StarExpr:
		return receiver(x.X)
	case *ast.IndexExpr:
		return receiver(x.X)
	case *ast.Ident:
		return x.Name
	}
	return "?"
}
