package notify

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"vernal/templates"
)

// width is the maximum line length.
const width = 72

// defaultLang returns the language of contacts that name none: the installation's first.
func (s *Service) defaultLang() templates.Lang {
	if len(s.Langs) > 0 && s.Langs[0].IsKnown() {
		return s.Langs[0]
	}
	return "en"
}

// loadPhrases render the rotation's codes in the operators' language.
func (s *Service) loadPhrases() *templates.Phrases { return templates.PhrasesIn(s.defaultLang()) }

// Sender is the part of every mail that names its sender.
type Sender struct {
	Us, BaseURL  string
	Organization string // "" if it is Us
	Support      string // how to reach support, "" if no way is known
}

func (s *Service) newSender(lang templates.Lang) Sender {
	b := s.Branding.Branding(lang)
	data := Sender{Us: cleanText(cmp.Or(b.Name, s.Name)), BaseURL: s.IdP.BaseURL, Organization: cleanText(b.Organization)}
	if data.Organization == data.Us {
		data.Organization = ""
	}
	if b.Contact == "" {
		b.Contact = s.IdP.Contact
	}
	if len(b.SupportLinks()) > 0 {
		data.Support = templates.PhrasesIn(lang).SupportText(b)
	}
	return data
}

// render fills in a text and lays it out.
func render(lang templates.Lang, name string, data any) (subject, text string, err error) {
	subject, text, err = templates.PhrasesIn(lang).Mail(name, data)
	return cleanText(subject), layOut(text), err
}

// WriteMail fills in the text of a mail and lays it out. makeData returns its data, which must have
// the fields of the Sender.
func (s *Service) WriteMail(lang templates.Lang, name string, makeData func(Sender) any) (subject, text string, err error) {
	if !lang.IsKnown() {
		lang = s.defaultLang()
	}
	return render(lang, name, makeData(s.newSender(lang)))
}

// layOut breaks the lines of paragraphs, keeps indented lines and certificates as they are,
// and drops repeated empty lines.
func layOut(text string) string {
	lines := []string{""}
	isInPEM, isInParagraph := false, false
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, " ")
		isPEMLine := strings.HasPrefix(line, "-----")
		if isInPEM || isPEMLine || line == "" || line[0] == ' ' {
			if line != "" || lines[len(lines)-1] != "" {
				lines = append(lines, line)
			}
			isInPEM, isInParagraph = isInPEM != isPEMLine, false
			continue
		}
		// Break only at these spaces, because French has others at which no line may break.
		for word := range strings.FieldsFuncSeq(line, func(r rune) bool { return r == ' ' || r == '\t' }) {
			last := &lines[len(lines)-1]
			if isInParagraph && utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= width {
				*last += " " + word
			} else {
				lines = append(lines, word)
			}
			isInParagraph = true
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n")) + "\n"
}

// cleanText makes foreign text safe in a line: one line, nothing invisible, no change of
// writing direction, bounded length.
func cleanText(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return s
}

// formatFingerprint formats a hex fingerprint as openssl does.
func formatFingerprint(hex string) string {
	var pairs []string
	for pair := range slices.Chunk([]byte(strings.ToUpper(hex)), 2) {
		pairs = append(pairs, string(pair))
	}
	return strings.Join(pairs, ":")
}
