package templates

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"html"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"vernal/idp"
)

// refuseCalls reads the source: the calls of Refuse with at least a code, a field and a value.
// The code of a call outside package idp is a selector, or a variable.
func refuseCalls(t *testing.T) (calls []*ast.CallExpr) {
	t.Helper()
	err := filepath.WalkDir("../idp", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return err
		}
		inXMLDSig := strings.Contains(name, "xmldsig")
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if fun, ok := call.Fun.(*ast.SelectorExpr); !ok || fun.Sel.Name != "Refuse" || len(call.Args) < 3 {
				return true
			}
			if _, ok := call.Args[0].(*ast.SelectorExpr); ok || inXMLDSig {
				calls = append(calls, call)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

// refusalArgs returns how many arguments are given at most with each code, by the name of its
// constant. A call of package xmldsig whose code is a variable counts for the codes of
// signatures, as "".
func refusalArgs(t *testing.T) map[string]int {
	t.Helper()
	most := map[string]int{}
	for _, call := range refuseCalls(t) {
		code := ""
		if sel, ok := call.Args[0].(*ast.SelectorExpr); ok {
			if code = sel.Sel.Name; code == "Code" {
				code = "RefusedNoFactor" // an assurance.Obstacle's, the only one that is stored
			}
		}
		count := len(call.Args) - 3
		if call.Ellipsis.IsValid() {
			count = 10 // a slice, of any length
		}
		most[code] = max(most[code], count)
	}
	if len(most) < 40 {
		t.Fatalf("found %d codes only: the test looks in the wrong place", len(most))
	}
	return most
}

// refusalConstants returns the codes by the names of their constants.
func refusalConstants(t *testing.T) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../idp/refusal.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "RefusalCode" {
			byName[spec.Names[0].Name], _ = strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		}
		return true
	})
	return byName
}

// TestRefusalSlotsAreFilled checks that some code fills each placeholder, because the page
// would otherwise lack what it promises.
func TestRefusalSlotsAreFilled(t *testing.T) {
	t.Parallel()
	s := mustNew(t)
	most := refusalArgs(t)
	signature := regexp.MustCompile("Signature|Digest|Canonical|Transform|Reference")
	for name, code := range refusalConstants(t) {
		for _, part := range []string{"title", "person", "seen", "expected", "remedy"} {
			text := s.selectLanguage(fallback).catalogue[refusalKey(idp.RefusalCode(code), part)]
			for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
				n, err := strconv.Atoi(m[1])
				if err != nil {
					t.Fatalf("refusal.%s.%s has {%s}", code, part, m[1])
				}
				filled := most[name]
				if signature.MatchString(name) {
					filled = max(filled, most[""])
				}
				if n >= filled {
					t.Errorf("refusal.%s.%s has {%d}, and no refusal has more than %d arguments", code, part, n, filled)
				}
			}
		}
	}
}

// hole is what remains of a placeholder without a value.
var hole = regexp.MustCompile(`\{\d\}|\(\s*\)|\(only\s*\)|\[\[|\]\]|[:,;]\s*[.)]|\.\.|  |«\s*»|""|“”|\s\.`)

// TestRefusalsHaveNoHoles renders every refusal in every language, with and without its
// arguments.
func TestRefusalsHaveNoHoles(t *testing.T) {
	t.Parallel()
	s := mustNew(t)
	for _, code := range constants(t, "../idp/refusal.go", "RefusalCode") {
		for _, lang := range s.Langs() {
			for given := range 1 << 6 {
				// The bits say which arguments are present.
				args := make([]string, 6)
				for i := range args {
					if given>>i&1 == 1 {
						args[i] = fmt.Sprintf("arg%d", i)
					}
				}
				title, expected, remedy := s.Explain(lang, &idp.Refusal{Code: idp.RefusalCode(code), Args: args})
				for _, text := range []string{title, expected, remedy} {
					if text == "" || hole.MatchString(text) {
						t.Errorf("%s/%s with %q: %q in %q", lang, code, args, hole.FindString(text), text)
					}
				}
			}
		}
	}
}

// absent are the codes that are also about something that is not there, so that a page may say
// that nothing was seen: a part of the message, or of the registration, or a factor.
var absent = map[string]bool{
	"RefusedRequestMissing": true, "RefusedSignatureMissing": true, "RefusedIssuer": true, "RefusedNameID": true,
	"RefusedNoLogoutURL": true, "RefusedNoFactor": true,
}

// TestRefusalsSayWhatWasSeen checks that a refusal without a seen value is about something that
// is not there, or that the catalogues describe what is not quoted.
func TestRefusalsSayWhatWasSeen(t *testing.T) {
	t.Parallel()
	codes, found := refusalConstants(t), 0
	described := func(name string) bool {
		return mustNew(t).selectLanguage(fallback).catalogue[refusalKey(idp.RefusalCode(codes[name]), "seen")] != ""
	}
	for _, call := range refuseCalls(t) {
		name, ok := call.Args[0].(*ast.SelectorExpr)
		if value, isText := call.Args[2].(*ast.BasicLit); !ok || !isText || value.Value != `""` {
			continue
		}
		found++
		if !absent[name.Sel.Name] && !described(name.Sel.Name) {
			t.Errorf("%s says that nothing was seen", name.Sel.Name)
		}
	}
	if found < 10 {
		t.Errorf("only %d refusals without a seen value", found)
	}
	// What is described is never called nothing, whatever the format.
	s := mustNew(t)
	for _, lang := range s.Langs() {
		for _, code := range codes {
			r := &idp.Refusal{Code: idp.RefusalCode(code), Field: "Somefield"}
			text, err := s.selectLanguage(lang).catalogue.seenText(r)
			if err != nil || text == "" {
				continue
			}
			for format, write := range map[string]func(io.Writer, Page) error{"HTML": s.WriteHTML, "text": s.WriteText, "JSON": s.WriteJSON} {
				var out strings.Builder
				if err := write(&out, RefusalPage{Base: Base{Lang: lang}, Refusal: r, ErrorID: "id"}); err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(html.UnescapeString(out.String()), text) {
					t.Errorf("%s, %s as %s: what was seen is missing", lang, code, format)
				}
			}
		}
	}
}
