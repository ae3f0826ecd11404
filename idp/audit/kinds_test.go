package audit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vernal/certs"
	"vernal/idp/audit"
)

// TestKinds holds that every kind of record that the code writes is in the table,
// which is what people look kinds up in.
func TestKinds(t *testing.T) {
	t.Parallel()
	known := audit.Kinds()
	if !slices.IsSortedFunc(known, func(a, b audit.Kind) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("Kinds are not in order")
	}
	has := func(kind string) bool {
		return slices.ContainsFunc(known, func(k audit.Kind) bool { return k.Name == kind && k.What != "" })
	}
	for _, step := range []certs.StepKind{certs.StepCreate, certs.StepCSR, certs.StepImport, certs.StepPublish, certs.StepPrefer, certs.StepRetire,
		certs.StepDestroy, certs.StepRollback, certs.StepResume, certs.StepRevoke, certs.StepConfirm} {
		if kind := "rotation." + string(step); !has(kind) {
			t.Errorf("kind %q is not in the table", kind)
		}
	}
	found := 0
	for _, d := range audit.Decisions() {
		kind := d.Rule().Kind
		if kind == "" {
			continue
		}
		found++
		if !has(kind) {
			t.Errorf("kind %q of the decision %s is not in the table", kind, d)
		}
	}
	for _, kind := range written(t) {
		found++
		if !has(kind) {
			t.Errorf("kind %q is not in the table", kind)
		}
	}
	if found < 25 {
		t.Errorf("found %d kinds only: the test looks in the wrong place", found)
	}
}

// written finds the kinds in the code: Kind in a literal of idp.AuditEvent, and the
// first arguments of functions that are called event.
func written(t *testing.T) (kinds []string) {
	t.Helper()
	add := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if kind, err := strconv.Unquote(lit.Value); err == nil {
				kinds = append(kinds, kind)
			}
		}
	}
	look := func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if sel, ok := n.Type.(*ast.SelectorExpr); !ok || sel.Sel.Name != "AuditEvent" {
				return true
			}
			for _, field := range n.Elts {
				if kv, ok := field.(*ast.KeyValueExpr); ok {
					if name, ok := kv.Key.(*ast.Ident); ok && name.Name == "Kind" {
						add(kv.Value)
					}
				}
			}
		case *ast.CallExpr:
			name := ""
			switch f := n.Fun.(type) {
			case *ast.Ident:
				name = f.Name
			case *ast.SelectorExpr:
				name = f.Sel.Name
			}
			if name == "event" {
				for _, arg := range n.Args[:min(2, len(n.Args))] {
					add(arg)
				}
			}
		}
		return true
	}
	for _, root := range []string{"..", "../../cmd"} {
		err := filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.Contains(name, "storetest") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(f, look)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return kinds
}
