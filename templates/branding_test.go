package templates

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"vernal/idp"
)

func fullBranding() Branding {
	return Branding{
		Name: "State Sign-in", Organization: "State of Example", LogoURL: BrandPrefix + "logo.svg", ColorURL: BrandPrefix + "color.css",
		Banner: "An official website of the State of Example", SiteURL: "https://login.example.gov/",
		SupportURL: "https://example.gov/support", SupportEmail: "help@example.gov",
		Contact: "technical@example.gov", OrganizationURL: "https://example.gov/",
		HelpURL: "https://example.gov/help", PrivacyURL: "https://example.gov/privacy",
		AccessibilityURL: "https://example.gov/accessibility", TermsURL: "https://example.gov/terms",
	}
}

// hrefs returns the targets of the links below the elements of a name.
func hrefs(doc *html.Node, name string) (all []string) {
	for _, n := range find(doc, name) {
		for _, a := range find(n, "a") {
			all = append(all, attr(a, "href"))
		}
	}
	return all
}

// eachPage renders the pages with a branding, except those of the demo's samples, which
// represent external sites, and the wallboard, which has no links.
func eachPage(t *testing.T, b Branding, check func(t *testing.T, s sample, doc *html.Node)) {
	t.Helper()
	set := mustNew(t)
	for _, lang := range set.Langs() {
		for _, s := range brandedSamples(lang, "https://records.example/acs", b) {
			if strings.HasPrefix(s.name, "demo-") || isWall(s.name) {
				continue
			}
			t.Run(string(lang)+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				var out bytes.Buffer
				if err := s.render(set, &out); err != nil {
					t.Fatal(err)
				}
				check(t, s, parseHTML(t, out.Bytes()))
			})
		}
	}
}

func TestEveryPageHasConfiguredLinks(t *testing.T) {
	t.Parallel()
	b := fullBranding()
	eachPage(t, b, func(t *testing.T, _ sample, doc *html.Node) {
		got := hrefs(doc, "footer")
		for _, want := range []string{b.HelpURL, b.SupportURL, "mailto:" + b.SupportEmail, b.PrivacyURL, b.AccessibilityURL, b.TermsURL} {
			if !slices.Contains(got, want) {
				t.Errorf("the footer has no link to %s", want)
			}
		}
		if images := find(find(doc, "header")[0], "img"); len(images) == 0 || attr(images[0], "src") != b.LogoURL || attr(images[0], "alt") != b.Organization {
			t.Error("the header has no logo with the organization as its text")
		}
		if !slices.ContainsFunc(find(doc, "link"), func(n *html.Node) bool { return attr(n, "href") == b.ColorURL }) {
			t.Error("the stylesheet of the color is missing")
		}
		details := find(find(doc, "section")[0], "details")
		if len(details) != 1 || !strings.Contains(words(details[0]), b.Banner) || !strings.Contains(words(details[0]), b.SiteURL) {
			t.Error("the banner is missing")
		} else if slices.ContainsFunc(details[0].Attr, func(a html.Attribute) bool { return a.Key == "open" }) {
			t.Error("the banner's details are open")
		}
	})
}

// Without configuration, no link is empty and no part of a branding is shown.
func TestNoPageHasLinksThatAreNotConfigured(t *testing.T) {
	t.Parallel()
	eachPage(t, Branding{}, func(t *testing.T, s sample, doc *html.Node) {
		for _, a := range find(doc, "a") {
			if href := attr(a, "href"); href == "" || strings.HasPrefix(href, "mailto:") {
				t.Errorf("link to %q", href)
			}
		}
		if got := hrefs(doc, "footer"); !strings.HasSuffix(s.name, "-guided") && !isAdmin(s.name) && s.name != "guide" && s.name != "help" && s.name != "developers" && len(got) > 0 {
			t.Errorf("the footer links to %q", got)
		}
		for _, n := range find(doc, "section") {
			if strings.Contains(attr(n, "class"), "banner") {
				t.Error("there is a banner")
			}
		}
		for _, n := range find(doc, "link") {
			if strings.HasPrefix(attr(n, "href"), BrandPrefix) || attr(n, "href") == "" {
				t.Errorf("stylesheet %q", attr(n, "href"))
			}
		}
	})
}

// Every error says in addition to its own text how to get help.
func TestErrorsLeadToSupport(t *testing.T) {
	t.Parallel()
	b := fullBranding()
	eachPage(t, b, func(t *testing.T, s sample, doc *html.Node) {
		isForm := strings.HasPrefix(s.name, "signin") || strings.HasPrefix(s.name, "code")
		if !s.bad || isForm || strings.HasPrefix(s.name, "sign-in") {
			return
		}
		if got := hrefs(doc, "main"); !slices.Contains(got, b.SupportURL) {
			t.Errorf("no link to support in %q", got)
		}
	})
}

func TestSupportFallsBackToOrganization(t *testing.T) {
	t.Parallel()
	full := fullBranding()
	with := func(change func(*Branding)) Branding {
		b := full
		change(&b)
		return b
	}
	tests := []struct {
		name string
		b    Branding
		want []BrandLink
	}{
		{"both", full, []BrandLink{{full.SupportURL, SupportContact, nil}, {"mailto:help@example.gov", SupportWrite, []string{"help@example.gov"}}}},
		{"URL", with(func(b *Branding) { b.SupportEmail = "" }), []BrandLink{{full.SupportURL, SupportContact, nil}}},
		{"email", with(func(b *Branding) { b.SupportURL = "" }), []BrandLink{{"mailto:help@example.gov", SupportContact, nil}}},
		{"contact", with(func(b *Branding) { b.SupportURL, b.SupportEmail = "", "" }), []BrandLink{{"mailto:technical@example.gov", SupportOrganization, []string{"State of Example"}}}},
		{"home page", with(func(b *Branding) { b.SupportURL, b.SupportEmail, b.Contact = "", "", "" }), []BrandLink{{full.OrganizationURL, SupportOrganization, []string{"State of Example"}}}},
		{"no name", Branding{OrganizationURL: full.OrganizationURL}, []BrandLink{{full.OrganizationURL, SupportUnnamed, nil}}},
		{"nothing", Branding{Organization: "State of Example"}, nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, tt.b.SupportLinks()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
		text := PhrasesIn("es").SupportText(tt.b)
		for _, l := range tt.want {
			if !strings.Contains(text, strings.TrimPrefix(l.URL, "mailto:")) {
				t.Errorf("%s: the text %q does not name %s", tt.name, text, l.URL)
			}
		}
		if text == "" || strings.Contains(text, "{0}") || len(tt.want) == 0 && strings.ContainsAny(text, "@/") {
			t.Errorf("%s: text %q", tt.name, text)
		}
	}
}

// Text pages are for clients that do not accept HTML.
func TestTextPagesNameSupport(t *testing.T) {
	t.Parallel()
	set, base := mustNew(t), Base{Branding: fullBranding()}
	for name, page := range map[string]Page{
		"error": ErrorPage{Base: base, Title: "error.internal.title", Text: "error.internal.text"}, "not found": NotFoundPage{Base: base},
		"retired": RetiredPage{Base: base, Year: "2025"},
	} {
		var out bytes.Buffer
		if err := set.WriteText(&out, page); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), base.Branding.SupportURL) || !strings.Contains(out.String(), base.Branding.SupportEmail) {
			t.Errorf("%s: no support in\n%s", name, &out)
		}
	}
}

func TestContrastFollowsWCAG(t *testing.T) {
	t.Parallel()
	for color, want := range map[string]string{"#000000": "21.00", "#ffffff": "1.00", "#767676": "4.54", "#005ea2": "6.72"} {
		c, err := ParseColor(color)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Contrast(White); fmt.Sprintf("%.2f", got) != want || got != White.Contrast(c) {
			t.Errorf("%s: %v, want %s", color, got, want)
		}
		if css := string(c.Stylesheet()); !strings.Contains(css, color) || strings.Contains(css, "COLOR") {
			t.Errorf("stylesheet of %s:\n%s", color, css)
		}
	}
}

// A text that sends users to support is on a page that says how to reach it, whether or not the
// operator configured a way.
func TestSupportIsReachableWhereItIsNamed(t *testing.T) {
	t.Parallel()
	named := 0
	for _, b := range []Branding{{}, fullBranding()} {
		for _, s := range brandedSamples("en", "https://records.example/acs", b) {
			var out bytes.Buffer
			if err := s.render(mustNew(t), &out); err != nil {
				t.Fatal(err)
			}
			mains := find(parseHTML(t, out.Bytes()), "main")
			if strings.HasPrefix(s.name, "demo-") || len(mains) == 0 || !strings.Contains(strings.ToLower(words(mains[0])), "support for") {
				continue
			}
			named++
			if b == (Branding{}) && !strings.Contains(words(mains[0]), mustNew(t).pages["en"].catalogue[SupportNone]) {
				t.Errorf("%s names support and not how to reach it", s.name)
			}
			if b != (Branding{}) && !slices.Contains(hrefs(parseHTML(t, out.Bytes()), "main"), b.SupportURL) {
				t.Errorf("%s names support without a link", s.name)
			}
		}
	}
	if named < 10 {
		t.Errorf("only %d pages name support", named)
	}
}

// Every form of an error says what its ID is for.
func TestErrorIDSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	s := mustNew(t)
	for _, lang := range s.Langs() {
		base, why := Base{Lang: lang}, s.pages[lang].catalogue["support.error_id"]
		refusal := idp.Refuse(idp.RefusedVersion, "Version", "1.1")
		for _, p := range []Page{
			ErrorPage{Base: base, Title: "error.internal.title", Text: "error.internal.text", ErrorID: "id-7"},
			RefusalPage{Base: base, Refusal: refusal, ErrorID: "id-7"},
			LackPage{Base: base, Lacks: "proofing", Refusal: refusal, ErrorID: "id-7"},
			RetiredPage{Base: base, Year: "2025", ErrorID: "id-7"},
		} {
			for format, write := range map[string]func(io.Writer, Page) error{"HTML": s.WriteHTML, "text": s.WriteText} {
				var out bytes.Buffer
				if err := write(&out, p); err != nil {
					t.Fatal(err)
				}
				if text := html.UnescapeString(out.String()); !strings.Contains(text, "id-7") || !strings.Contains(text, why) {
					t.Errorf("%s, %T as %s: the ID is not explained", lang, p, format)
				}
			}
		}
	}
}
