package notify

import (
	"cmp"
	"net/mail"
	"slices"
	"strings"

	"vernal/templates"
)

// contactGroup has the contacts of a service provider with one language.
type contactGroup struct {
	lang      templates.Lang
	emails []string
}

// groupContacts groups the email addresses among the contacts by language, without duplicates. A contact
// can begin with its language, es:team@agency.example. The default is the installation's language,
// which comes first. The result has at least one reader, even without an email address.
func (s *Service) groupContacts(all []string) []contactGroup {
	byLang := []contactGroup{{lang: s.defaultLang(), emails: []string{}}}
	var seen []string
	for _, c := range all {
		lang, address := splitContact(c)
		if !isMailAddress(address) || slices.Contains(seen, address) {
			continue
		}
		seen = append(seen, address)
		lang = cmp.Or(lang, s.defaultLang())
		i := slices.IndexFunc(byLang, func(r contactGroup) bool { return r.lang == lang })
		if i < 0 {
			i, byLang = len(byLang), append(byLang, contactGroup{lang: lang})
		}
		byLang[i].emails = append(byLang[i].emails, address)
	}
	if len(byLang) > 1 && len(byLang[0].emails) == 0 {
		byLang = byLang[1:]
	}
	return byLang
}

// listEmails returns the email addresses among a registration's contacts, without duplicates.
func (s *Service) listEmails(all []string) []string {
	found := []string{}
	for _, r := range s.groupContacts(all) {
		found = append(found, r.emails...)
	}
	return found
}

// splitContact splits LANG:ADDRESS, either of which may be missing. An unsupported language
// stays part of the rest.
func splitContact(c string) (lang templates.Lang, address string) {
	c = strings.TrimSpace(c)
	if before, after, ok := strings.Cut(c, ":"); ok && templates.Lang(strings.ToLower(before)).IsKnown() {
		lang, c = templates.Lang(strings.ToLower(before)), strings.TrimSpace(after)
	}
	if len(c) > 7 && strings.EqualFold(c[:7], "mailto:") {
		c = c[7:]
	}
	return lang, c
}

// isMailAddress reports whether the text is a bare ASCII email address on one line. Nothing
// else may reach a mail header or the SMTP server.
func isMailAddress(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Address == text && len(text) <= 254 &&
		!strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`<>,;:"()[]\`, r) })
}
