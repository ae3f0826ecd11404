package templates

import (
	"cmp"
	"strings"
)

// BrandPrefix is the path of the operator's own files. Their names change with their
// content.
const BrandPrefix = "/static/brand/"

// Brand is the configured look, and the files that it needs.
type Brand struct {
	Langs map[Lang]Branding
	Files []BrandFile
}

// Branding returns the branding in a language. It is the zero value without a brand.
func (b *Brand) Branding(lang Lang) Branding {
	if b == nil {
		return Branding{}
	}
	return b.Langs[lang]
}

// BrandFile is a file to be served at Path, which begins with BrandPrefix.
type BrandFile struct {
	Path, Type string
	CSP        string // the Content-Security-Policy of the answer
	Data       []byte
}

// Branding is the brand in one language. The zero value shows Vernal's own logo, and no links.
// It is comparable, because it is the key of prepared response pages.
type Branding struct {
	// Name is the name of the service in titles and headers, "" for Base.Brand.
	Name string
	// Organization runs the service. Its name replaces a missing logo.
	Organization string
	// LogoURL and ColorURL are the paths of a logo and a stylesheet, "" for none.
	LogoURL, ColorURL string
	// Banner says whose official website this is, "" for no banner. SiteURL is the URL
	// that its details name.
	Banner, SiteURL string
	// The ways to reach support. Without them, users are sent to the organization.
	SupportURL, SupportEmail, Contact, OrganizationURL string
	// HelpURL replaces our own help.
	HelpURL, PrivacyURL, AccessibilityURL, TermsURL string
}

// BrandLink is a link whose text is that of Key, filled with Args.
type BrandLink struct {
	URL  string
	Key  Key
	Args []string
}

// SupportLinks returns the ways to reach support, or else the organization. It returns none if
// the operator configured nothing.
func (b Branding) SupportLinks() (links []BrandLink) {
	switch {
	case b.SupportURL != "":
		links = append(links, BrandLink{b.SupportURL, SupportContact, nil})
		if b.SupportEmail != "" {
			links = append(links, BrandLink{"mailto:" + b.SupportEmail, SupportWrite, []string{b.SupportEmail}})
		}
		return links
	case b.SupportEmail != "":
		return []BrandLink{{"mailto:" + b.SupportEmail, SupportContact, nil}}
	}
	target := b.OrganizationURL
	if b.Contact != "" {
		target = "mailto:" + b.Contact
	}
	switch {
	case target == "":
		return nil
	case b.Organization == "":
		return []BrandLink{{target, SupportUnnamed, nil}}
	}
	return []BrandLink{{target, SupportOrganization, []string{b.Organization}}}
}

// supportText returns in plain text how to reach support.
func (c catalogue) supportText(b Branding) string {
	var ways []string
	for _, way := range []string{b.SupportURL, b.SupportEmail} {
		if way != "" {
			ways = append(ways, way)
		}
	}
	if way := cmp.Or(b.Contact, b.OrganizationURL); len(ways) == 0 && way != "" {
		ways = append(ways, way)
	}
	if len(ways) == 0 {
		return c[SupportNone]
	}
	text, _ := c.text(SupportLine, strings.Join(ways, ", "))
	return text
}

// FooterLinks returns the links at the foot of a page.
func (base Base) FooterLinks() (links []BrandLink) {
	add := func(url string, key Key) {
		if url != "" {
			links = append(links, BrandLink{url, key, nil})
		}
	}
	b := base.Branding
	add(cmp.Or(b.HelpURL, base.HelpURL), LinkHelp)
	links = append(links, b.SupportLinks()...)
	add(base.DevelopersURL, LinkDevelopers)
	add(b.PrivacyURL, LinkPrivacy)
	add(b.AccessibilityURL, LinkAccessibility)
	add(b.TermsURL, LinkTerms)
	return links
}

// SupportText returns in plain text how to reach support.
func (p *Phrases) SupportText(b Branding) string { return p.c.supportText(b) }
