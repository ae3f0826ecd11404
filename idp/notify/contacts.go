package notify

import (
	"cmp"
	"net/mail"
	"slices"
	"strings"

	"vernal/templates"
)

// reader are the contacts of a service provider who read one language.
type reader struct {
	lang      templates.Lang
	addresses []string
}

// readers are those of a registration's contacts that are mail addresses, each
// once, by their languages. A contact says its language in front of its address,
// es:team@agency.example; without, it is the installation's. That one comes
// first. There is always one reader, if need be without an address.
func (s *Service) readers(all []string) []reader {
	byLang := []reader{{lang: s.lang(), addresses: []string{}}}
	var seen []string
	for _, c := range all {
		lang, address := splitContact(c)
		if !mailAddress(address) || slices.Contains(seen, address) {
			continue
		}
		seen = append(seen, address)
		lang = cmp.Or(lang, s.lang())
		i := slices.IndexFunc(byLang, func(r reader) bool { return r.lang == lang })
		if i < 0 {
			i, byLang = len(byLang), append(byLang, reader{lang: lang})
		}
		byLang[i].addresses = append(byLang[i].addresses, address)
	}
	if len(byLang) > 1 && len(byLang[0].addresses) == 0 {
		byLang = byLang[1:]
	}
	return byLang
}

// contacts are the mail addresses among a registration's contacts, each once.
func (s *Service) contacts(all []string) []string {
	found := []string{}
	for _, r := range s.readers(all) {
		found = append(found, r.addresses...)
	}
	return found
}

// splitContact takes apart LANG:ADDRESS, either of which may be missing. A word
// before the colon that is no language of ours is part of the rest.
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

// mailAddress reports whether the text is a bare mail address, in ASCII and of
// one line: all that goes into the head of a mail or to the server.
func mailAddress(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Address == text && len(text) <= 254 &&
		!strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`<>,;:"()[]\`, r) })
}
