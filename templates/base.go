package templates

// Names of the fields in our forms; what the handlers read is what the pages
// send.
const (
	FieldRequest  = "request" // handle of the stored LoginRequest, may be empty
	FieldEmail    = "email"
	FieldPassword = "password"
	FieldCode     = "code"
	FieldLanguage = "language" // a Lang that was chosen
	FieldReturn   = "return"   // where the choice leads back to
	FieldSession  = "session"  // OwnSession.ID
	FieldRemember = "remember" // "yes" if this device is to be remembered
	FieldMore     = "more"     // more time is asked for, and nothing else
	FieldDevice   = "device"   // OwnDevice.ID
	FieldProblem  = "problem"  // Problem.String, kept while the language is switched
)

// IDs of the forms that carry the switcher of the language; for Languages.Form.
const (
	FormSignIn = "sign-in"
	FormCode   = "enter-code"
)

// Base is what every page knows. The zero value makes a page in English,
// outside any flow.
type Base struct {
	Lang      Lang   // an unknown one reads as English
	SPName    string // the service provider of the flow, "" outside one
	Nonce     string // of the Content-Security-Policy, for pages with a script or style of their own
	ReturnURL string // "back to the service provider" link, "" for none
	Brand     string // name of this identity provider, "" for "Vernal"
	Branding  Branding
	// Languages is the switcher, at the foot of the page.
	Languages Languages
	// HelpURL and DevelopersURL are the indexes of the guides; "" on sites without
	// guides.
	HelpURL, DevelopersURL string
}

func (b Base) language() Lang { return b.Lang }

// Languages lets the person read the page in another language; the zero value
// is a page without that.
type Languages struct {
	Action string // where the choice is posted, as FieldLanguage; "" for no form
	Return string // the page's own address, which goes with it as FieldReturn
	Langs  []Lang
	// Form is the id of the page's own form, which the choice goes with instead, so that what
	// was typed is kept; "" for a form of the switcher's own.
	Form string
	// Links stand in place of the form where nothing can be posted.
	Links []LanguageLink
}

// LanguageLink leads to the same page in a language.
type LanguageLink struct {
	Lang Lang
	URL  string
}
