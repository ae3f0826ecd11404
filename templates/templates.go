// Package templates contains the pages that users see: their HTML, their texts in each
// language, and the stylesheet, fonts and images that they use.
//
// A page is one file in pages/ and one struct of the same name. It knows nothing of requests,
// sessions or stores: handlers fill the struct, render to a buffer, and answer. Go and HTML
// contain no texts. All texts come from catalogue/, one file per language, by Key. The texts
// of mails are in mails/. Everything is embedded. The tests parse and check all of it, so a
// program parses a page only when it first renders it.
//
// The pages are made for a Content-Security-Policy of default-src 'none' with style-src,
// img-src and font-src 'self' (img-src is also for the icons in the stylesheet) and
// form-action. The pages that post automatically, and the code page, have a script with a
// nonce, the code page also a style. They work without script, at 320 pixels, by keyboard and
// by screen reader (WCAG 2.2 AA).
package templates

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"
	texttemplate "text/template"
)

// Lang is a language of the pages, as in a lang attribute ("en").
type Lang string

// IsKnown reports whether the language is one of ours.
func (l Lang) IsKnown() bool { return nameSet[l] != "" }

// fallback is the language used for an unknown one.
const fallback Lang = "en"

//go:embed pages catalogue mails static
var embedded embed.FS

// Set contains all pages in all languages. Many goroutines may use it.
type Set struct {
	langs  []Lang
	pages  map[Lang]*language
	prefix string
	// wallCSP is the result of WallCSP.
	wallCSP string
}

// language contains the pages in one language.
type language struct {
	catalogue catalogue
	// Pages by name, and mails, are parsed by the first call.
	html  map[string]func() (*htmltemplate.Template, error)
	text  map[string]func() (*texttemplate.Template, error)
	mails func() (*texttemplate.Template, error)
	// responses contains the prepared page that posts a Response, by Branding.
	responses sync.Map
}

// New returns every page in every language. They never change, so a process parses them once,
// at first use. An error means that this build of the program is broken.
func New() (*Set, error) { return parseOnce() }

var parseOnce = sync.OnceValues(parseAll)

// parseAll reads the embedded files.
func parseAll() (*Set, error) {
	prefix, err := staticPrefix(Static())
	if err != nil {
		return nil, err
	}
	catalogues, err := readCatalogues(embedded)
	if err != nil {
		return nil, err
	}
	policy, err := wallCSP(Static())
	if err != nil {
		return nil, err
	}
	s := &Set{pages: make(map[Lang]*language), prefix: prefix, wallCSP: policy}
	for lang, c := range catalogues {
		l, err := newLanguage(lang, c, prefix)
		if err != nil {
			return nil, fmt.Errorf("pages in %q: %w", lang, err)
		}
		s.pages[lang] = l
		s.langs = append(s.langs, lang)
	}
	if s.pages[fallback] == nil {
		return nil, fmt.Errorf("no catalogue for %q", fallback)
	}
	slices.SortFunc(s.langs, func(a, b Lang) int {
		if a == fallback || b == fallback {
			return map[bool]int{true: -1, false: 1}[a == fallback]
		}
		return strings.Compare(string(a), string(b))
	})
	return s, nil
}

// Langs returns all languages, English first. Callers must not change the result.
func (s *Set) Langs() []Lang { return s.langs }

// Static returns the files to serve under StaticPrefix.
func Static() fs.FS {
	sub, err := fs.Sub(embedded, "static")
	if err != nil {
		panic(err) // "static" is a valid path
	}
	return sub
}

// StaticPrefix returns the path, with a slash at both ends, under which the pages load the
// files of Static. It changes with their content, so answers below it may be cached
// permanently.
func (s *Set) StaticPrefix() string { return s.prefix }

// staticPrefix hashes all files: they refer to each other by relative URLs, so their URLs
// change together.
func staticPrefix(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s\x00%d\x00", name, len(b))
		sum.Write(b)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read static files: %w", err)
	}
	return "/static/" + hex.EncodeToString(sum.Sum(nil)[:8]) + "/", nil
}

// newLanguage finds the pages and mails of a language. Each is parsed when it is first rendered.
func newLanguage(lang Lang, c catalogue, prefix string) (*language, error) {
	funcs := sync.OnceValue(func() map[string]any { return pageFuncs(lang, c, prefix) })
	shared := sync.OnceValues(func() (*htmltemplate.Template, error) {
		return htmltemplate.New("").Option("missingkey=error").Funcs(funcs()).ParseFS(embedded, "pages/layout.html", "pages/parts.html")
	})
	l := &language{
		catalogue: c,
		html:      make(map[string]func() (*htmltemplate.Template, error)),
		text:      make(map[string]func() (*texttemplate.Template, error)),
		mails:     sync.OnceValues(func() (*texttemplate.Template, error) { return parseMails(embedded, lang, c) }),
	}
	files, err := fs.Glob(embedded, "pages/*")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), path.Ext(file))
		switch {
		case name == "layout" || name == "parts":
		case path.Ext(file) == ".html":
			l.html[name] = sync.OnceValues(func() (*htmltemplate.Template, error) { return parsePage(shared, file) })
		default:
			l.text[name] = sync.OnceValues(func() (*texttemplate.Template, error) {
				return texttemplate.New(path.Base(file)).Option("missingkey=error").Funcs(funcs()).ParseFS(embedded, file)
			})
		}
	}
	return l, nil
}

// parsePage adds the file of a page to a copy of the parts that all pages share.
func parsePage(shared func() (*htmltemplate.Template, error), file string) (*htmltemplate.Template, error) {
	parts, err := shared()
	if err != nil {
		return nil, err
	}
	page, err := parts.Clone()
	if err != nil {
		return nil, err
	}
	return page.ParseFS(embedded, file)
}

// selectLanguage returns the pages of lang, or of the fallback.
func (s *Set) selectLanguage(lang Lang) *language {
	if l := s.pages[lang]; l != nil {
		return l
	}
	return s.pages[fallback]
}

// Page is a struct of this package that is a page: XPage, with a Base, for the file
// x.html or x.txt in pages/.
type Page interface{ language() Lang }

// pageFileName returns the name of a page's file, without its extension.
func pageFileName(p Page) string {
	return strings.ToLower(strings.TrimSuffix(reflect.TypeOf(p).Name(), "Page"))
}

// WriteHTML writes a page.
func (s *Set) WriteHTML(w io.Writer, p Page) error {
	return s.selectLanguage(p.language()).writeHTML(w, pageFileName(p), p)
}

// writeHTML writes the page with that name.
func (l *language) writeHTML(w io.Writer, name string, data any) error {
	page, err := l.html[name]()
	if err == nil {
		err = page.ExecuteTemplate(w, "layout", data)
	}
	if err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
	return nil
}

// WriteText writes a page for a client that does not accept HTML.
func (s *Set) WriteText(w io.Writer, p Page) error {
	if lack, ok := p.(LackPage); ok {
		p = lack.refusalPage() // the part for programs
	}
	page, err := s.selectLanguage(p.language()).text[pageFileName(p)]()
	if err == nil {
		err = page.Execute(w, p)
	}
	if err != nil {
		return fmt.Errorf("render text %s: %w", pageFileName(p), err)
	}
	return nil
}
