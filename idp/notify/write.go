package notify

import "vernal/templates"

// Sender is the part of every mail that names its sender.
type Sender = sender

// WriteMail fills in the text of a mail and lays it out. makeData returns its data, which must have
// the fields of the Sender.
func (s *Service) WriteMail(lang templates.Lang, name string, makeData func(Sender) any) (subject, text string, err error) {
	if !lang.IsKnown() {
		lang = s.defaultLang()
	}
	return render(lang, name, makeData(s.newSender(lang)))
}
