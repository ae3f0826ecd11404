package restore

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"vernal/idp"
)

// TestEveryAuditKindHasEffect fails for a new kind of record until it is decided what one after
// a backup means for the restored installation.
func TestEveryAuditKindHasEffect(t *testing.T) {
	t.Parallel()
	known := map[idp.AuditKind]bool{}
	for _, k := range idp.AuditKinds() {
		known[k.Kind] = true
		if effects[k.Kind] == 0 {
			t.Errorf("decide in effects what a record %q after the backup means", k.Kind)
		}
	}
	for k := range effects {
		if !known[k] {
			t.Errorf("effects has %q, which no record has", k)
		}
	}
}

// TestEveryDocumentKindHasFate fails for a new kind of document until it is decided what a
// restore does to it. Kinds are found where the code reads or writes documents.
func TestEveryDocumentKindHasFate(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, dir := range goFolders(t, "../..") {
		for _, kind := range documentKinds(t, dir) {
			found[kind] = true
			if fates[kind] == 0 {
				t.Errorf("decide in fates what a restore does to documents of the kind %q, see %s", kind, dir)
			}
		}
	}
	for kind := range fates {
		if !found[kind] {
			t.Errorf("fates has %q, and no code reads or writes such documents", kind)
		}
	}
}

// goFolders returns the folders that can have code of the server. Package bolt and its suite have
// documents of any kind.
func goFolders(t *testing.T, root string) (dirs []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		switch {
		case d.Name() == "testdata", d.Name() == "store", d.Name() == "idptest", strings.HasPrefix(d.Name(), ".") && name != root:
			return fs.SkipDir
		}
		dirs = append(dirs, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// documentKinds returns the kinds in idp.Records and in calls of Documents and UpdateDocuments.
func documentKinds(t *testing.T, dir string) (kinds []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	consts, root := map[string]string{}, constants(t, "..", "idp.")
	imported := constants(t, "../backup", "backup.")
	var exprs []ast.Expr
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		collectConstants(f, "", consts)
		if f.Name.Name == "idp" {
			continue // declares Records
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				if index, ok := n.Type.(*ast.IndexExpr); ok && isSelector(index.X, "idp", "Records") {
					for _, e := range n.Elts {
						if kv, ok := e.(*ast.KeyValueExpr); ok && kv.Key.(*ast.Ident).Name == "Kind" {
							exprs = append(exprs, kv.Value)
						}
					}
				}
			case *ast.CallExpr:
				if sel, ok := n.Fun.(*ast.SelectorExpr); ok && len(n.Args) >= 3 && (sel.Sel.Name == "Documents" || sel.Sel.Name == "UpdateDocuments") {
					exprs = append(exprs, n.Args[1])
				}
			}
			return true
		})
	}
	for _, e := range exprs {
		kind, ok := "", false
		switch e := e.(type) {
		case *ast.BasicLit:
			text, err := strconv.Unquote(e.Value)
			kind, ok = text, err == nil
		case *ast.Ident:
			kind, ok = consts[e.Name]
		case *ast.SelectorExpr:
			name := e.X.(*ast.Ident).Name + "." + e.Sel.Name
			if kind, ok = root[name]; !ok {
				kind, ok = imported[name]
			}
		}
		if !ok {
			t.Errorf("%s: the kind of a document is not a constant that this test finds", dir)
			continue
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

func isSelector(e ast.Expr, x, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == x && sel.Sel.Name == name
}

func constants(t *testing.T, dir, prefix string) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		collectConstants(f, prefix, found)
	}
	return found
}

// collectConstants adds the string constants of a file by name.
func collectConstants(f *ast.File, prefix string, found map[string]string) {
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, value := range v.Values {
			if lit, ok := value.(*ast.BasicLit); ok && lit.Kind == token.STRING && i < len(v.Names) {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					found[prefix+v.Names[i].Name] = text
				}
			}
		}
		return true
	})
}
