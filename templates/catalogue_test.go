package templates

import (
	"bytes"
	"encoding/json"
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
	"time"

	"golang.org/x/net/html"

	"vernal/idp"
	"vernal/idp/rotation"
)

// constants returns the values of the string constants of type typ in a Go file.
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

// usedKeys returns every key that some page or constant names.
func usedKeys(t *testing.T) map[Key]bool {
	t.Helper()
	keys := map[Key]bool{"brand": true, "time": true, "time.first": true, "date": true, "number": true, "number.zero": true,
		"mail.date": true, "mail.moment": true, "mail.and": true}
	for _, k := range []Key{"mail.providers", "mail.hours", "mail.minutes"} {
		keys[k], keys[k+".one"] = true, true
	}
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
	keys[AttentionFewCodes+".one"] = true
	parts, err := os.ReadFile("../idp/accounthttp/handler.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`path: journey\.\w+, name: "(\w+)"`).FindAllSubmatch(parts, -1) {
		p := AccountPart{Name: string(m[1])}
		keys[p.Title()] = true
		if p.Name != "overview" { // which does not list itself
			keys[p.Text()] = true
		}
	}
	for _, k := range constants(t, "recovery.go", "Key") {
		keys[Key(k)] = true
	}
	for _, kind := range append(slices.Clone(historyKinds), "unknown") {
		for _, outcome := range append([]string{"ok"}, historyOutcomes[kind]...) {
			keys[HistoryKey(kind, outcome, outcome == "sp")] = true
		}
	}
	for _, by := range []string{"you", "staff", "server", "service"} {
		keys[HistoryEntry{By: by}.ByKey()] = true
	}
	for _, state := range constants(t, "../idp/rotation/state.go", "State") {
		keys[YearKey(rotation.State(state))] = true
	}
	for _, move := range []string{"moved", "both", "unmoved", "unseen"} { // migration.Move
		keys[MoveKey(move)] = true
	}
	for _, key := range []string{"internal", "unavailable", "not_written", "bad_form", "cross_site", "too_many", "too_large", "method", "no_idp_start"} { // web.Error.Key
		keys[Key("error."+key+".title")], keys[Key("error."+key+".text")] = true, true
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
	for _, m := range regexp.MustCompile(`(?:\{Name: |newProfileRow\()"(\w+)"`).FindAllSubmatch(table, -1) {
		keys[Key("attributes.text."+string(m[1]))] = true
	}
	for _, reason := range constants(t, "../idp/consent/consent.go", "Reason") {
		if reason != "" {
			keys[ConsentPage{Reason: reason}.Heading()], keys[ConsentPage{Reason: reason}.Intro()] = true, true
		}
	}
	for _, m := range regexp.MustCompile(`(?:ProfileRow\(|\{Name: )"(\w+)".*(?:func|IsPersonal: true)`).FindAllSubmatch(table, -1) {
		keys[AttributeKey(string(m[1]))] = true
	}
	for _, row := range consentRows {
		keys[AttributeKey(row.label)] = true
	}
	for _, f := range constants(t, "../idp/session.go", "Factor") {
		keys[factorKey(idp.Factor(f))] = true
	}
	for _, code := range constants(t, "../idp/refusal.go", "RefusalCode") {
		for _, part := range []string{"title", "expected", "fix"} {
			keys[refusalKey(idp.RefusalCode(code), part)] = true
		}
	}
	return keys
}

// TestCataloguesHaveSameTexts checks that English has the texts that the pages use and no
// others, and each other language has those of English.
func TestCataloguesHaveSameTexts(t *testing.T) {
	t.Parallel()
	catalogues, err := readCatalogues(embedded)
	if err != nil {
		t.Fatal(err)
	}
	keys := usedKeys(t)
	english := catalogues[fallback]
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if strings.TrimSpace(english[key]) == "" {
			t.Errorf("no text %q", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(english)) {
		code, part, _ := strings.Cut(strings.TrimPrefix(string(key), "refusal."), ".")
		optional := (part == "user" || part == "seen") && keys[refusalKey(idp.RefusalCode(code), "title")]
		coded := slices.ContainsFunc(codePrefixes, func(prefix string) bool { return strings.HasPrefix(string(key), prefix) })
		if !keys[key] && !optional && !coded {
			t.Errorf("text %q is not used", key)
		}
	}
	for _, lang := range []Lang{"en", "es", "fr"} {
		if catalogues[lang] == nil {
			t.Errorf("no catalogue %s.json", lang)
		} else if err := catalogues[lang].checkAgainst(english, placeholdersOf); err != nil && lang != fallback {
			t.Errorf("catalogue/%s.json:\n%v", lang, err)
		}
	}
}

func TestCheckNamesCatalogueDifferences(t *testing.T) {
	t.Parallel()
	english := catalogue{"a": "one {0}[[ of {1}]]", "b": "two"}
	tests := []struct {
		name string
		c    catalogue
		want string // "" for none
	}{
		{"whole", catalogue{"a": "[[{1} : ]]{0}", "b": "dos"}, ""},
		{"missing", catalogue{"a": "{0}[[{1}]]"}, `text "b" is missing`},
		{"empty", catalogue{"a": "{0}[[{1}]]", "b": " "}, `text "b" is missing`},
		{"superfluous", catalogue{"a": "{0}[[{1}]]", "b": "dos", "d": "x"}, `text "d" is superfluous`},
		{"placeholder", catalogue{"a": "{0}[[{2}]]", "b": "dos"}, `text "a" has [[[ ]] {0} {2}], and [[[ ]] {0} {1}] in en`},
		{"bracket", catalogue{"a": "{0}{1}", "b": "dos"}, `text "a" has [{0} {1}], and [[[ ]] {0} {1}] in en`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := tt.c.checkAgainst(english, placeholdersOf); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestDatesFollowLanguage(t *testing.T) {
	t.Parallel()
	s := mustNew(t)
	first := time.Date(2027, 8, 1, 9, 5, 0, 0, time.UTC)
	for lang, want := range map[Lang]string{
		"en": "August 1, 2027, 09:05 UTC", "es": "1 de agosto de 2027, 09:05 UTC", "fr": "1er août 2027 à 09\u00a0h\u00a005 UTC",
	} {
		when := pageFuncs(lang, s.selectLanguage(lang).catalogue, "")["when"].(func(time.Time) (string, error))
		if got, err := when(first); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", lang, got, err, want)
		}
	}
}

// TestEachRefusalHasPageAndText checks that each code has a page and a text that are complete
// with and without arguments, and never show the cause.
func TestEachRefusalHasPageAndText(t *testing.T) {
	t.Parallel()
	s := mustNew(t)
	for _, code := range constants(t, "../idp/refusal.go", "RefusalCode") {
		for _, lang := range s.Langs() {
			t.Run(string(lang)+"/"+code, func(t *testing.T) {
				t.Parallel()
				for _, args := range [][]string{nil, {"seven"}, {"seven", "eight"}, {"seven", "eight", "nine"}} {
					r := &idp.Refusal{Code: idp.RefusalCode(code), Field: "Somefield", Seen: "someseen", Args: args, Err: errSecret{}}
					var page, text strings.Builder
					if err := s.WriteHTML(&page, RefusalPage{Base: Base{Lang: lang}, Refusal: r, ErrorID: "some-id"}); err != nil {
						t.Fatal(err)
					}
					if err := s.WriteText(&text, RefusalPage{Base: Base{Lang: lang}, Refusal: r, ErrorID: "some-id"}); err != nil {
						t.Fatal(err)
					}
					for _, out := range []string{page.String(), text.String()} {
						for _, want := range []string{"Somefield", "someseen", "some-id", code} {
							if !strings.Contains(out, want) {
								t.Errorf("no %q in:\n%s", want, out)
							}
						}
						for _, bad := range []string{"secret", "[[", "]]", "{0}", "  ", " .", ":.", "of,"} {
							if body := out[strings.Index(out, s.selectLanguage(lang).catalogue["refusal.expected"]):]; strings.Contains(body, bad) {
								t.Errorf("%q in:\n%s", bad, body)
							}
						}
					}
				}
			})
		}
	}
}

type errSecret struct{}

func (errSecret) Error() string { return "secret" }

func TestTextFillsPlaceholders(t *testing.T) {
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

// TestNoTextInPages checks that all words of a page are in the catalogues.
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
			if n.Type == html.TextNode && n.Parent.Data != "script" && n.Parent.Data != "style" && letters.MatchString(n.Data) {
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

// TestTextsHaveTypographyOfLanguage checks the punctuation of texts and mails: French has a
// no-break space before high punctuation and inside guillemets, so that no line begins with a
// colon, and its own apostrophe. Spanish opens each question and exclamation.
func TestTextsHaveTypographyOfLanguage(t *testing.T) {
	t.Parallel()
	catalogues, err := readCatalogues(embedded)
	if err != nil {
		t.Fatal(err)
	}
	all := map[Lang]map[string]string{}
	for _, lang := range []Lang{"es", "fr"} {
		all[lang] = map[string]string{}
		for key, text := range catalogues[lang] {
			all[lang][string(key)] = text
		}
		files, err := fs.Glob(embedded, "mails/"+string(lang)+"/*")
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		action := regexp.MustCompile(`\{\{.*?\}\}`)
		for _, file := range files {
			b, err := fs.ReadFile(embedded, file)
			if err != nil {
				t.Fatal(err)
			}
			all[lang][file] = action.ReplaceAllString(string(b), "0")
		}
	}
	faults := regexp.MustCompile(` [:;?!»](\s|$|\]\])|« |[\p{L}\d})»][;?!](\s|$)|[\p{L}})»]:(\s|$)|\p{L}'\p{L}`)
	for key, text := range all["fr"] {
		if fault := faults.FindString(text); fault != "" {
			t.Errorf("fr: %q in %s: %s", fault, key, text)
		}
	}
	for key, text := range all["es"] {
		text = strings.ReplaceAll(text, "?sp=", "")
		for opens, closes := range map[string]string{"¿": "?", "¡": "!"} {
			if strings.Count(text, opens) != strings.Count(text, closes) {
				t.Errorf("es: %s…%s in %s: %s", opens, closes, key, text)
			}
		}
	}
}

// TestCataloguesNameEachTextOnce checks that no catalogue has a text twice: only the last one would be
// shown, whatever is written in the other.
func TestCataloguesNameEachTextOnce(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(embedded, "catalogue/*.json")
	if err != nil || len(names) != 3 {
		t.Fatalf("catalogues %v, %v", names, err)
	}
	for _, path := range names {
		data, err := fs.ReadFile(embedded, path)
		if err != nil {
			t.Fatal(err)
		}
		decoder, seen := json.NewDecoder(bytes.NewReader(data)), map[string]bool{}
		if _, err := decoder.Token(); err != nil {
			t.Fatal(err)
		}
		for decoder.More() {
			key, err := decoder.Token()
			if err != nil {
				t.Fatal(err)
			}
			var text string
			if err := decoder.Decode(&text); err != nil {
				t.Fatal(err)
			}
			if name := key.(string); seen[name] {
				t.Errorf("%s: %q is there twice", path, name)
			} else {
				seen[name] = true
			}
		}
	}
}
