package templates

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"vernal/idp"
)

// constants gives the values of the string constants of type typ in a Go file.
func constants(t *testing.T, file, typ string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != typ {
			return true
		}
		for _, v := range spec.Values {
			s, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, s)
		}
		return true
	})
	if len(values) < 5 {
		t.Fatalf("only %d constants of type %s in %s", len(values), typ, file)
	}
	return values
}

// used is every key that some page or constant names.
func used(t *testing.T) map[Key]bool {
	t.Helper()
	keys := map[Key]bool{"brand": true, "time": true}
	for i := range 12 {
		keys[Key("time.month."+strconv.Itoa(i+1))] = true
	}
	call := regexp.MustCompile(`\bt "([^"]*)"`)
	files, err := fs.Glob(embedded, "pages/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := fs.ReadFile(embedded, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(b), -1) {
			keys[Key(m[1])] = true
		}
	}
	number := regexp.MustCompile(`\bn "([^"]*)"`)
	for _, m := range number.FindAllStringSubmatch(allPages(t), -1) {
		keys[Key(m[1])], keys[Key(m[1]+".one")] = true, true
	}
	for _, k := range []Key{"days.today", "days.ago", "days.ago.one", "days.in", "days.in.one"} {
		keys[k] = true
	}
	for _, k := range constants(t, "keys.go", "Key") {
		keys[Key(k)] = true
	}
	for _, lack := range constants(t, "../idp/assurance/obstacle.go", "Lack") {
		for _, part := range []string{"title", "asked", "do"} {
			keys[lackKey(lack, part)] = true
		}
	}
	for _, level := range []string{"any", "proofed", "eligible", "piv"} { // assurance.Level
		keys[Key("attributes.level."+level)] = true
	}
	table, err := os.ReadFile("../idp/assurance/table.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\{Name: "(\w+)"`).FindAllSubmatch(table, -1) {
		keys[Key("attributes.text."+string(m[1]))] = true
	}
	for _, f := range constants(t, "../idp/session.go", "Factor") {
		keys[factorKey(idp.Factor(f))] = true
	}
	for _, code := range constants(t, "../idp/refusal.go", "RefusalCode") {
		for _, part := range []string{"title", "expected", "remedy"} {
			keys[refusalKey(idp.RefusalCode(code), part)] = true
		}
	}
	return keys
}

func TestCatalogues(t *testing.T) {
	t.Parallel()
	catalogues, err := readCatalogues(embedded)
	if err != nil {
		t.Fatal(err)
	}
	keys := used(t)
	english := catalogues[fallback]
	for lang, c := range catalogues {
		t.Run(string(lang), func(t *testing.T) {
			t.Parallel()
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				if strings.TrimSpace(c[key]) == "" {
					t.Errorf("no text %q", key)
				}
			}
			for _, key := range slices.Sorted(maps.Keys(c)) {
				person := strings.HasPrefix(string(key), "refusal.") && strings.HasSuffix(string(key), ".person") &&
					keys[Key(strings.TrimSuffix(string(key), "person")+"title")]
				if !keys[key] && !person {
					t.Errorf("text %q is not used", key)
				}
				if _, ok := english[key]; !ok {
					t.Errorf("text %q is not in %s", key, fallback)
				}
				if got, want := placeholders(c[key]), placeholders(english[key]); !cmp.Equal(got, want) {
					t.Errorf("text %q has placeholders %v, %s has %v", key, got, fallback, want)
				}
			}
		})
	}
}

func placeholders(text string) []string {
	found := regexp.MustCompile(`\{\d\}|\[\[|\]\]`).FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

// TestRefusals: each code has a page and a text that read well with and
// without arguments, and never show the cause.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := mustNew(t)
	for _, code := range constants(t, "../idp/refusal.go", "RefusalCode") {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			for _, args := range [][]string{nil, {"seven"}, {"seven", "eight"}, {"seven", "eight", "nine"}} {
				r := &idp.Refusal{Code: idp.RefusalCode(code), Field: "Somefield", Seen: "someseen", Args: args, Err: errSecret{}}
				var page, text strings.Builder
				if err := s.Refusal(&page, RefusalPage{Refusal: r, ErrorID: "some-id"}); err != nil {
					t.Fatal(err)
				}
				if err := s.RefusalText(&text, RefusalPage{Refusal: r, ErrorID: "some-id"}); err != nil {
					t.Fatal(err)
				}
				for _, out := range []string{page.String(), text.String()} {
					for _, want := range []string{"Somefield", "someseen", "some-id", code} {
						if !strings.Contains(out, want) {
							t.Errorf("no %q in:\n%s", want, out)
						}
					}
					for _, bad := range []string{"secret", "[[", "]]", "{0}", "  ", " .", ":.", "of,"} {
						if body := out[strings.Index(out, "What we expect"):]; strings.Contains(body, bad) {
							t.Errorf("%q in:\n%s", bad, body)
						}
					}
				}
			}
		})
	}
}

type errSecret struct{}

func (errSecret) Error() string { return "secret" }

func TestText(t *testing.T) {
	t.Parallel()
	c := catalogue{
		"plain":    "Nothing to fill.",
		"two":      "{1} before {0}",
		"optional": "One[[ of {0}]], or[[ {0} and {1}]].",
	}
	tests := []struct {
		name string
		key  Key
		args []string
		want string
	}{
		{"plain", "plain", []string{"x"}, "Nothing to fill."},
		{"order", "two", []string{"a", "b"}, "b before a"},
		{"missing", "two", []string{"a"}, " before a"},
		{"not filled twice", "two", []string{"{1}", "{0}"}, "{0} before {1}"},
		{"no options", "optional", nil, "One, or."},
		{"empty is none", "optional", []string{""}, "One, or."},
		{"one option", "optional", []string{"a"}, "One of a, or."},
		{"brackets in a value", "optional", []string{"[[a]]"}, "One of [[a]], or."},
		{"all options", "optional", []string{"a", "b"}, "One of a, or a and b."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.text(tt.key, tt.args...)
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

// TestNoTextInPages: the words of a page are all in the catalogues.
func TestNoTextInPages(t *testing.T) {
	t.Parallel()
	action := regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	letters := regexp.MustCompile(`\p{L}{2,}`)
	files, err := fs.Glob(embedded, "pages/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := fs.ReadFile(embedded, file)
		if err != nil {
			t.Fatal(err)
		}
		bare := action.ReplaceAll(b, nil)
		for n := range parseHTML(t, bare).Descendants() {
			if n.Type == html.TextNode && n.Parent.Data != "script" && letters.MatchString(n.Data) {
				t.Errorf("%s has text %q", file, strings.TrimSpace(n.Data))
			}
			for _, key := range []string{"alt", "aria-label", "title", "placeholder"} {
				if letters.MatchString(attr(n, key)) {
					t.Errorf("%s has %s=%q", file, key, attr(n, key))
				}
			}
		}
	}
}
