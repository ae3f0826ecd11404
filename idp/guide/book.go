// Package guide shows the guides: the manual of Vernal for users, operators and
// integrators. They are Markdown files of package templates. The values of this
// installation are filled in: its URLs, its live years and their fingerprints.
// The server shows the guides as pages, and `vernal help TOPIC` prints them.
//
// A file is a template whose data is Values. Values never pass through the Markdown parser: a
// template gets a token in place of each text, and the tokens are replaced in the result, where
// HTML is escaped. So a value cannot inject Markdown or HTML. HTML in a guide itself is left out.
package guide

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	htmltemplate "html/template"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/rotation"
	"vernal/metadata"
	"vernal/templates"
)

// Audience is the group of readers of a guide. It is also the folder of the guide's file.
type Audience string

const (
	Users       Audience = "users"
	Operators   Audience = "operators"
	Integrators Audience = "integrators"
)

// order lists the guides of each audience as the indexes show them.
var order = []struct {
	audience Audience
	topics   []string
}{
	{Users, []string{"sign-in", "account", "consent", "services", "devices", "lost", "problems"}},
	{Operators, []string{"first-year", "install", "proxy", "service-providers", "users", "registration", "recovery", "inactive", "sessions", "years", "notices", "preview", "external-keys",
		"lost-keys", "backups", "master-key", "audit-trail", "watch", "checks", "languages", "branding", "upgrade", "troubleshooting"}},
	{Integrators, []string{"start", "requests", "responses", "sign-out", "choose-language", "try-next-year", "libraries"}},
}

// Topic is one guide.
type Topic struct {
	Name     string   `json:"name"` // as in its URL
	Audience Audience `json:"audience"`
	Title    string   `json:"title"`
	// Summary is the guide's first paragraph, which names its readers.
	Summary string `json:"summary"`

	source *template.Template
}

// Path returns the path of the guide's page.
func (t *Topic) Path() string {
	if t.Audience == Integrators {
		return templates.DevelopersPath + "/" + t.Name
	}
	return templates.HelpPath + "/" + t.Name
}

// Book contains all guides. It is read-only and safe for concurrent use.
type Book struct{ topics []*Topic }

// Load parses the guides of a folder.
func Load(files fs.FS) (*Book, error) {
	b := &Book{}
	for _, part := range order {
		for _, name := range part.topics {
			file := path.Join(string(part.audience), name+".md")
			source, err := fs.ReadFile(files, file)
			if err != nil {
				return nil, err
			}
			t := &Topic{Name: name, Audience: part.audience}
			if t.Title, t.Summary, err = readHead(string(source)); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			if t.source, err = template.New(name).Parse(string(source)); err != nil {
				return nil, err
			}
			b.topics = append(b.topics, t)
		}
	}
	return b, nil
}

// readHead returns the title and the first paragraph of a guide.
func readHead(source string) (title, summary string, err error) {
	head, body, _ := strings.Cut(source, "\n\n")
	title, ok := strings.CutPrefix(head, "# ")
	summary, _, _ = strings.Cut(body, "\n\n")
	if !ok || summary == "" || strings.Contains(title+summary, "{{") {
		return "", "", errors.New("a guide begins with a title and a paragraph that says whom it is for")
	}
	return title, strings.Join(strings.Fields(summary), " "), nil
}

// Topics lists the guides in the order of the indexes.
func (b *Book) Topics() []*Topic { return b.topics }

// Lookup returns the guide with this name, or nil.
func (b *Book) Lookup(name string) *Topic {
	if i := slices.IndexFunc(b.topics, func(t *Topic) bool { return t.Name == name }); i >= 0 {
		return b.topics[i]
	}
	return nil
}

// Values are the facts about an installation that guides show. All of them are public.
type Values struct {
	BaseURL string
	// Years are the live years, the preferred one first. Without any, guides show
	// the URLs of ExampleYear and no certificate.
	Years []Year
}

// Year is a live year.
type Year struct {
	Year  idp.Year
	State rotation.State
	EndAt time.Time // when its certificate expires
	// SHA256 is the fingerprint of its certificate, with colons.
	SHA256 string
}

// ExampleYear is the year in URLs if no year is live.
const ExampleYear idp.Year = "2026"

// Example returns the values of a fictitious installation.
func Example() Values { return Values{BaseURL: "https://login.agency.example"} }

// data holds the values that templates can use.
type data struct {
	Base, Host, EntityID, StableMetadata string
	// The other URLs are those of the preferred year.
	yearData
	Years      []yearData
	Attributes []attribute
	ClassRefs  []string
}

type yearData struct {
	Year, State, EndAt, SHA256                            string
	Metadata, Authn, Logout, RemoteLogout, CertificateURL string
}

type attribute struct{ Name, Format, When, Text string }

// tokenStore replace values while a guide is rendered. They consist of letters and digits, which
// have no special meaning in Markdown, HTML and URLs.
type tokenStore struct{ values []string }

const tokenPrefix, tokenSuffix = "xVernal", "Valuex"

// holdValue stores a value and returns its token, or "" for "".
func (s *tokenStore) holdValue(value string) string {
	if value == "" {
		return ""
	}
	s.values = append(s.values, strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, value))
	return tokenPrefix + strconv.Itoa(len(s.values)-1) + tokenSuffix
}

func (s *tokenStore) replaceTokens(text string, escape func(string) string) string {
	var pairs []string
	for i, value := range s.values {
		pairs = append(pairs, tokenPrefix+strconv.Itoa(i)+tokenSuffix, escape(value))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// newData returns the values of v for a template.
func newData(tokens *tokenStore, v Values) data {
	ownIdP := metadata.IdP{BaseURL: v.BaseURL}
	host := v.BaseURL
	if _, hostPart, ok := strings.Cut(host, "://"); ok {
		host = hostPart
	}
	newYear := func(y Year) yearData {
		d := yearData{
			Year: tokens.holdValue(string(y.Year)), State: tokens.holdValue(string(y.State)), SHA256: tokens.holdValue(y.SHA256),
			Metadata: tokens.holdValue(ownIdP.MetadataURL(y.Year)), Authn: tokens.holdValue(ownIdP.AuthnURL(y.Year)), Logout: tokens.holdValue(ownIdP.LogoutURL(y.Year)),
			RemoteLogout: tokens.holdValue(ownIdP.RemoteLogoutURL(y.Year)), CertificateURL: tokens.holdValue(ownIdP.CertificateURL(y.Year)),
		}
		if !y.EndAt.IsZero() {
			d.EndAt = tokens.holdValue(y.EndAt.UTC().Format(time.DateOnly))
		}
		return d
	}
	d := data{
		Base: tokens.holdValue(v.BaseURL), Host: tokens.holdValue(host), EntityID: tokens.holdValue(string(ownIdP.EntityID())),
		StableMetadata: tokens.holdValue(ownIdP.MetadataURL("")), yearData: newYear(Year{Year: ExampleYear}),
	}
	for i, y := range v.Years {
		d.Years = append(d.Years, newYear(y))
		if i == 0 {
			d.yearData = d.Years[0]
		}
	}
	for _, row := range assurance.Table() {
		d.Attributes = append(d.Attributes, attribute{tokens.holdValue(row.Name), tokens.holdValue(row.Format()), tokens.holdValue(row.DescribeRelease()), tokens.holdValue(row.Text())})
	}
	for _, ref := range assurance.ListClassRefs() {
		d.ClassRefs = append(d.ClassRefs, tokens.holdValue(ref))
	}
	return d
}

// fillTemplate executes the guide's template. The result contains tokens.
func (t *Topic) fillTemplate(v Values) (string, *tokenStore, error) {
	tokens := &tokenStore{}
	var out strings.Builder
	if err := t.source.Execute(&out, newData(tokens, v)); err != nil {
		return "", nil, fmt.Errorf("fill guide: %w", err)
	}
	return out.String(), tokens, nil
}

// Markdown returns the guide as Markdown, with its values.
func (t *Topic) Markdown(v Values) (string, error) {
	text, tokens, err := t.fillTemplate(v)
	if err != nil {
		return "", err
	}
	return tokens.replaceTokens(text, func(s string) string { return s }), nil
}

// markdown renders guides. Without goldmark's option "unsafe", HTML and scripts in
// links are left out.
var markdown = goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()))

// focusReplacer lets the keyboard scroll elements that are wider than a phone.
var focusReplacer = strings.NewReplacer(
	"<table>", `<div role="group" tabindex="0" aria-label="Table"><table>`, "</table>", "</table></div>",
	"<pre>", `<pre tabindex="0">`,
)

// HTML returns the guide as a part of a page, including its h1.
func (t *Topic) HTML(v Values) (htmltemplate.HTML, error) {
	text, tokens, err := t.fillTemplate(v)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := markdown.Convert([]byte(text), &out); err != nil {
		return "", fmt.Errorf("render guide %s: %w", t.Name, err)
	}
	return htmltemplate.HTML(tokens.replaceTokens(focusReplacer.Replace(out.String()), escapeValue)), nil
}

var fingerprintPattern = regexp.MustCompile(`^[0-9A-F]{2}(:[0-9A-F]{2})+$`)

// escapeValue escapes a value for text and attributes. A fingerprint may break between its
// bytes, and no guide uses one in an attribute.
func escapeValue(value string) string {
	if fingerprintPattern.MatchString(value) {
		return strings.ReplaceAll(value, ":", ":<wbr>")
	}
	return html.EscapeString(value)
}
