package templates

import "strings"

// SignUpPage asks for the email address of a new account.
type SignUpPage struct {
	Base
	Action    string
	Request   string // handle of the stored LoginRequest
	Service   string // as FieldService
	Email     string // the previous input, to correct
	Problems  Problems
	Notice    Key
	SignInURL string // for users who have an account
}

// InvitePage says that new accounts need an invitation.
type InvitePage struct {
	Base
	SignInURL string
}

// SignUpSentPage says that a mail with a link was sent, whether or not the email address has an
// account. Its form sends another one.
type SignUpSentPage struct {
	Base
	Action           string
	Request, Service string
	Email            string
	Problems         Problems
	Notice           Key
	Hours            int    // how long the link works
	OtherURL         string // to use another email address
}

// SignUpLinkPage says that a mailed link cannot be used.
type SignUpLinkPage struct {
	Base
	SignUpURL string // to get another link, "" if only an operator can send one
	SignInURL string
}

// SignUpConfirmPage asks for the password of a new account.
type SignUpConfirmPage struct {
	Base
	Action           string
	Request, Service string
	Token            string // of the mailed link
	Email            string
	IsInvited        bool
	// Rules and Privacy are the texts to accept. The boxes were ticked in the previous attempt if
	// HasRules or HasPrivacy.
	Rules, Privacy       OperatorText
	HasRules, HasPrivacy bool
	Problems             Problems
	Notice               Key
}

// OperatorText is a text of the operator: a URL, or plain text.
type OperatorText string

// IsURL reports whether the text is the URL of a page.
func (t OperatorText) IsURL() bool {
	return strings.HasPrefix(string(t), "https://") || strings.HasPrefix(string(t), "http://")
}

// ChooseOperatorText returns the text in a language, otherwise in English or any other.
func ChooseOperatorText(texts map[string]string, lang Lang) OperatorText {
	for _, l := range []Lang{lang, fallback, "es", "fr"} {
		if text := texts[string(l)]; text != "" {
			return OperatorText(text)
		}
	}
	return ""
}
