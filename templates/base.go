package templates

// Names of the fields in our forms, shared by the pages and the handlers.
const (
	FieldRequest  = "request" // handle of the stored LoginRequest, may be empty
	FieldService  = "service" // the service provider to start at again, if there is no request
	FieldEmail    = "email"
	FieldPassword = "password"
	FieldCode     = "code"
	FieldLanguage = "language" // the chosen Lang
	FieldReturn   = "return"   // the URL to return to after the choice
	FieldSession  = "session"  // OwnSession.ID
	FieldRemember = "remember" // "yes" to remember this device
	FieldMore     = "more"     // asks for more time, and nothing else
	FieldDevice   = "device"   // OwnDevice.ID
	FieldProblem  = "problem"  // Problem.String, kept while the language is switched
	FieldNotice   = "notice"   // a Notice, kept like problems
	FieldToken    = "token"    // of a mailed link
	FieldSent     = "sent"     // "yes" in the form of the page that says that a mail was sent
	FieldName     = "name"     // a name for an authenticator
	FieldSet      = "set"      // the set of recovery codes to replace
	FieldRules    = "rules"    // "yes" to accept the rules of use
	FieldPrivacy  = "privacy"  // "yes" to accept the privacy notice
)

// IDs of the forms that carry the language switcher; for Languages.Form.
const (
	FormSignIn = "sign-in"
	FormCode   = "enter-code"
	FormSignUp = "sign-up"
	FormSetUp  = "set-up"
)

// Base is the common data of all pages. The zero value is a page in English, outside any flow.
type Base struct {
	Lang      Lang   // an unknown one means English
	SPName    string // the service provider of the flow, "" outside one
	SPLogo    string // path of its logo, "" for none and for a request that is not verified
	Nonce     string // of the Content-Security-Policy, for pages with a script or style of their own
	ReturnURL string // "back to the service provider" link, "" for none
	Brand     string // name of this identity provider, "" for "Vernal"
	Branding  Branding
	// Languages is the language switcher at the foot of the page.
	Languages Languages
	// HelpURL and DevelopersURL are the indexes of the guides; "" on sites without
	// guides.
	HelpURL, DevelopersURL string
}

func (b Base) language() Lang { return b.Lang }

// Languages lets the user read the page in another language. The zero value is a page without
// that.
type Languages struct {
	Action string // where the choice is posted, as FieldLanguage; "" for no form
	Return string // the page's own URL, sent as FieldReturn
	Langs  []Lang
	// Form is the ID of the page's own form, which sends the choice so that the input is
	// kept; "" for a separate form.
	Form string
	// Links replace the form where the server accepts no POST.
	Links []LanguageLink
}

// WithForm returns the switcher that the page's own form carries.
func (l Languages) WithForm(form string) Languages {
	if len(l.Langs) > 0 {
		l.Form = form
	}
	return l
}

// LanguageLink leads to the same page in a language.
type LanguageLink struct {
	Lang Lang
	URL  string
}
