package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin"
	"vernal/idp/sp"
)

// Every action that packages suggest is a command, with the options that they give it.
func TestActionsAreCommands(t *testing.T) {
	t.Parallel()
	for _, s := range idp.Actions() {
		if _, err := renderCommand(commandTree(), s); err != nil {
			t.Error(err)
		}
	}
}

// What packages call settings has an option of a command.
func TestSettingsAreOptions(t *testing.T) {
	t.Parallel()
	find := func(path ...string) func(name string) bool {
		c, _, err := newCommandTree().Find(path)
		if err != nil {
			t.Fatal(err)
		}
		return func(name string) bool { return c.Flags().Lookup(flagName(name)) != nil }
	}
	add, edit := find("sp", "add"), find("sp", "edit")
	for _, f := range sp.Fields() {
		if !add(f.Option()) || !edit(f.Option()) {
			t.Errorf("no option gives the field %s a value", f.Name)
		}
	}
	for _, p := range sp.Permissions() {
		if !add(string(p)) {
			t.Errorf("no option gives the permission %s", p)
		}
		if permissionHelp[p] == "" {
			t.Errorf("the permission %s has no help", p)
		}
	}
	if !find("user", "import")(account.OptionUnregistered) {
		t.Errorf("no option %s", account.OptionUnregistered)
	}
}

// The text of an error says by which options it can be done anyway, also when it is
// wrapped.
func TestErrorTextNamesOptions(t *testing.T) {
	t.Parallel()
	insecure := sp.Problem{Field: "acs_urls", Value: "http://a.example/", Text: "is http", Option: idp.Option{Name: string(sp.PermitInsecureURL)}}
	other := sp.Problem{Field: "name", Text: "is missing"}
	err := fmt.Errorf("wrapped: %w", &admin.Error{
		Code: admin.CodeInvalid, Message: "not valid", Problems: []sp.Problem{insecure, other},
		Permissions: []sp.Permission{sp.PermitKeepNameIDs, sp.PermitNewNameIDs},
	})
	lines := strings.Split(errorText(err), "\n")
	for i, flag := range []string{"", "--allow-insecure-url", "", "--keep-name-ids", "--new-name-ids"} {
		if i >= len(lines) || strings.Contains(lines[i], "--") != (flag != "") || !strings.Contains(lines[i], flag) {
			t.Fatalf("line %d has no %q, or more:\n%s", i, flag, strings.Join(lines, "\n"))
		}
	}
	if plain := errors.New("plain"); errorText(plain) != "plain" {
		t.Errorf("a plain error: %q", errorText(plain))
	}
	if got := optionFlag(idp.Option{Name: "encryption", Value: "none"}); got != "--encryption none" {
		t.Errorf("an option with a value: %q", got)
	}
}

// Whatever the packages suggest is in the table of actions, so that TestActionsAreCommands
// renders it, and its label has words.
func TestSuggestionsAreKnown(t *testing.T) {
	t.Parallel()
	f := suggestionFinder{t: t, consts: constantsOf(t, "../../idp/actions.go"), options: map[string][]string{}, labels: map[string]bool{}}
	for _, s := range idp.Actions() {
		f.options[string(s.Do)] = []string{}
		for _, o := range s.Options {
			f.options[string(s.Do)] = append(f.options[string(s.Do)], o.Name)
		}
	}
	for _, root := range []string{"../../idp", "../../metadata", "../../certs", "../../templates", "."} {
		f.walk(root)
	}
	if f.found < 20 {
		t.Errorf("found %d suggestions only: the test looks in the wrong place", f.found)
	}
	data, err := os.ReadFile("../../templates/catalogue/en.json")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]string{}
	if err := json.Unmarshal(data, &words); err != nil {
		t.Fatal(err)
	}
	for key := range words {
		if label, ok := strings.CutPrefix(key, "suggest."); ok && !f.labels[label] {
			t.Errorf("nothing has the label %q", label)
		}
	}
	for label := range f.labels {
		if words["suggest."+label] == "" {
			t.Errorf("the label %q has no words", label)
		}
	}
}

// suggestionFinder looks at the calls that make suggestions.
type suggestionFinder struct {
	t       *testing.T
	consts  map[string]string   // constants of package idp
	options map[string][]string // by action
	labels  map[string]bool     // that are used
	found   int
}

func (f *suggestionFinder) walk(root string) {
	files := token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			return err
		}
		if file.Name.Name == "idp" { // where they are defined
			return nil
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				f.call(files.Position(call.Pos()).String(), call)
			}
			return true
		})
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// call checks one call of idp.Suggest, or of the methods With and Labeled.
func (f *suggestionFinder) call(at string, call *ast.CallExpr) {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 {
		return
	}
	value := f.value(call.Args[0])
	switch method.Sel.Name {
	case "Suggest":
		if x, ok := method.X.(*ast.Ident); !ok || x.Name != "idp" {
			return
		}
		f.found++
		if f.options[value] == nil {
			f.t.Errorf("%s: %q is not in the table of actions", at, value)
		}
	case "With":
		if len(call.Args) != 2 {
			return // of another type
		}
		known := slices.Concat(slices.Collect(maps.Values(f.options))...)
		if do := f.action(method.X); do != "" {
			known = f.options[do]
		}
		if !slices.Contains(known, value) {
			f.t.Errorf("%s: the table of actions does not have the option %q", at, value)
		}
	case "Labeled":
		f.labels[value] = true
	}
}

// action is the action that a chain of calls begins with; "" if it begins with a variable.
func (f *suggestionFinder) action(e ast.Expr) string {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return ""
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	switch {
	case !ok:
		return ""
	case method.Sel.Name == "Suggest":
		return f.value(call.Args[0])
	}
	return f.action(method.X)
}

// value is that of a literal or of a constant of package idp or of metadata.
func (f *suggestionFinder) value(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	case *ast.SelectorExpr:
		return f.consts[e.Sel.Name]
	}
	return ""
}

// constantsOf are the string constants of a file.
func constantsOf(t *testing.T, name string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	consts := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if i < len(spec.Values) {
				if lit, ok := spec.Values[i].(*ast.BasicLit); ok {
					consts[name.Name], _ = strconv.Unquote(lit.Value)
				}
			}
		}
		return true
	})
	return consts
}
