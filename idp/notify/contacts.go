package notify

import (
	"cmp"
	"net/mail"
	"slices"
	"strings"

	"vernal/templates"
)

// contactGroup contains the contacts of a service provider that share a language.
type contactGroup struct {
	lang   templates.Lang
	emails []string
}

// groupContacts groups the email addresses among the contacts by language, without duplicates. A contact
// can begin with its language, es:team@agency.example. The default is the installation's language,
// which comes first. The result has at least one group, even without an email address.
func (s *Service) groupContacts(contacts []string) []contactGroup {
	groups := []contactGroup{{lang: s.defaultLang(), emails: []string{}}}
	var seen []string
	for _, c := range contacts {
		lang, email := splitContact(c)
		if !isMailAddress(email) || slices.Contains(seen, email) {
			continue
		}
		seen = append(seen, email)
		lang = cmp.Or(lang, s.defaultLang())
		i := slices.IndexFunc(groups, func(r contactGroup) bool { return r.lang == lang })
		if i < 0 {
			i, groups = len(groups), append(groups, contactGroup{lang: lang})
		}
		groups[i].emails = append(groups[i].emails, email)
	}
	if len(groups) > 1 && len(groups[0].emails) == 0 {
		groups = groups[1:]
	}
	return groups
}

// listEmails returns the email addresses among a registration's contacts, without duplicates.
func (s *Service) listEmails(contacts []string) []string {
	emails := []string{}
	for _, r := range s.groupContacts(contacts) {
		emails = append(emails, r.emails...)
	}
	return emails
}

// splitContact splits LANG:EMAIL. Either part may be missing. An unsupported language stays part of
// the email.
func splitContact(c string) (lang templates.Lang, email string) {
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
