package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"vernal/idp"
	"vernal/idp/logo"
	"vernal/templates"
)

// languages are the languages of the pages.
var languages = []string{"en", "es", "fr"}

// Localized is a text, and its replacements in single languages: KEY, KEY.en, KEY.es, KEY.fr.
type Localized struct{ Text, EN, ES, FR string }

// In returns the text in a language.
func (l Localized) In(lang templates.Lang) string {
	return cmp.Or(map[templates.Lang]string{"en": l.EN, "es": l.ES, "fr": l.FR}[lang], l.Text)
}

// builtInHelp is the value of branding.help_url that means our own guide.
const builtInHelp = templates.HelpPath

// minContrast is the least contrast ratio of text on its background (WCAG 2.2, 1.4.3).
const minContrast = 4.5

func (v *validator) checkBranding() {
	b := &v.config.Branding
	if b.Name.Text == "" {
		v.add("branding.name", "is empty: set the name that pages show")
	}
	v.checkEmail("branding.contact", b.Contact)
	v.checkEmail("branding.support_email", b.SupportEmail)
	if b.HelpURL.Text == "" {
		v.add("branding.help_url", "is empty: use %s or the URL of your own help", builtInHelp)
	}
	for _, link := range []struct {
		key string
		Localized
	}{
		{"organization_url", b.OrganizationURL},
		{"support_url", b.SupportURL},
		{"help_url", b.HelpURL},
		{"privacy_url", b.PrivacyURL},
		{"accessibility_url", b.AccessibilityURL},
		{"terms_url", b.TermsURL},
	} {
		for i, value := range []string{link.Text, link.EN, link.ES, link.FR} {
			path := "branding." + link.key
			if i > 0 {
				path += "." + languages[i-1]
			}
			if value != "" && (link.key != "help_url" || value != builtInHelp) {
				v.checkLink(path, value)
			}
		}
	}
	if b.Color != "" {
		v.checkColor(b.Color)
	}
	if b.Logo != "" {
		v.readLogo()
	}
}

// checkLink accepts a URL that a page may link to.
func (v *validator) checkLink(key, value string) {
	u, err := url.Parse(value)
	switch {
	case err != nil || !isWebURL(u):
		v.add(key, "%q is not a URL such as https://www.example.gov/help", value)
	case u.User != nil:
		v.add(key, "%q contains a user name, which would be shown to everyone: remove it", value)
	case u.Scheme == "http" && !idp.IsLoopback(u.Hostname()):
		v.add(key, "%q is http, which is for loopback only: use https", value)
	}
}

// checkColor checks the contrast of the color with the white text of buttons. Text in the color
// appears on white only, because no color has 4.5:1 against both white and a dark page.
func (v *validator) checkColor(value string) {
	color, err := templates.ParseColor(value)
	if err != nil {
		v.add("branding.color", "%v", err)
		return
	}
	if contrast := color.Contrast(templates.White); contrast < minContrast {
		v.add("branding.color", "%q has a contrast of %.2f:1 with white text, and needs at least %.1f:1: choose a darker color", value, contrast, minContrast)
	}
}

// readLogo reads the file once, so that the checked image is the one that is served.
func (v *validator) readLogo() {
	path := v.config.Branding.Logo
	data, err := readSmallFile(path, logo.MaxBytes+1)
	if err != nil {
		v.add("branding.logo", "%v", err)
		return
	}
	image, err := logo.Parse(data)
	if logoErr, ok := errors.AsType[*logo.Error](err); ok && logoErr.Line > 0 {
		v.add("branding.logo", "%s:%d: %s", path, logoErr.Line, logoErr.Reason)
		return
	}
	if err != nil {
		v.add("branding.logo", "%s: %v", path, err)
		return
	}
	v.config.logo = image
}

// readSmallFile reads at most limit bytes of a regular file. Reading a pipe could block without
// end.
func readSmallFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// Brand returns the branding of pages and mails, which Load has
// checked.
func (c *Config) Brand() *templates.Brand {
	b := &c.Branding
	brand := &templates.Brand{Langs: make(map[templates.Lang]templates.Branding)}
	shared := templates.Branding{SupportEmail: b.SupportEmail, Contact: b.Contact, SiteURL: strings.TrimSuffix(c.BaseURL, "/") + "/"}
	if c.logo != nil {
		shared.LogoURL = templates.BrandPrefix + c.logo.Name()
		brand.Files = append(brand.Files, templates.BrandFile{Path: shared.LogoURL, Type: c.logo.Type, CSP: logo.CSP, Data: c.logo.Data})
	}
	if color, err := templates.ParseColor(b.Color); err == nil {
		css := color.Stylesheet()
		sum := sha256.Sum256(css)
		shared.ColorURL = templates.BrandPrefix + hex.EncodeToString(sum[:16]) + ".css"
		brand.Files = append(brand.Files, templates.BrandFile{Path: shared.ColorURL, Type: "text/css; charset=utf-8", CSP: logo.CSP, Data: css})
	}
	for _, code := range languages {
		lang := templates.Lang(code)
		localized := shared
		localized.Name, localized.Organization, localized.OrganizationURL = b.Name.In(lang), b.Organization.In(lang), b.OrganizationURL.In(lang)
		localized.Banner, localized.SupportURL, localized.PrivacyURL = b.Banner.In(lang), b.SupportURL.In(lang), b.PrivacyURL.In(lang)
		localized.AccessibilityURL, localized.TermsURL = b.AccessibilityURL.In(lang), b.TermsURL.In(lang)
		if localized.HelpURL = b.HelpURL.In(lang); localized.HelpURL == builtInHelp {
			localized.HelpURL = "" // the server sets it
		}
		brand.Langs[lang] = localized
	}
	return brand
}
