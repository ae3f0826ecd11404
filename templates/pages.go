package templates

import (
	"strings"
	"time"

	"vernal/idp"
)

// LogoutPage sends a LogoutResponse to the service provider through the browser (HTTP-POST
// binding, saml-bindings §3.5).
type LogoutPage struct {
	Base
	// HasEnded is false if the session here continues, because the request was about another
	// session.
	HasEnded     bool
	OpenServices []string // names of services where the user may still be signed in
	Action       string   // the registered logout URL
	SAMLResponse string   // in base64
	RelayState   string
	HasRelay     bool // as in ResponsePage
}

// ConfirmPage asks before an action: one heading, one text, one button that posts, and a link
// to cancel.
type ConfirmPage struct {
	Base
	Title, Text, Button Key
	Args                []string // fill the placeholders of all three
	Action              string
	Fields              []Field
	CancelURL           string // "" for no such link
}

// Field is a hidden field of a form.
type Field struct{ Name, Value string }

// ErrorPage describes a failure that is not a Refusal.
type ErrorPage struct {
	Base
	Status      int
	Code        string // identifies the failure for programs
	Title, Text Key
	Args        []string // fill the placeholders of both
	ErrorID     string   // the error ID in our log, "" for none
	StartURL    string   // where to start again at the service provider, "" if unknown
}

// RefusalPage explains a Refusal to the user and to the operators of the service provider. It
// shows Refusal.Seen and Refusal.Args, never Refusal.Err.
type RefusalPage struct {
	Base
	Refusal  *idp.Refusal
	ErrorID  string
	StartURL string
	// BaseURL is our URL, for a program's link to the documentation.
	BaseURL string
	// OmitsSeen omits the seen value, where it is not recorded.
	OmitsSeen bool
	// SignInURL is where the user can sign in as someone else, "" for none.
	SignInURL string
	// AccountURL is the way to continue without a StartURL, "" for none. Only the page of
	// a refusal that users can cause themselves has one.
	AccountURL string
}

// LackPage says that the user cannot meet the level that the service provider requests, and that
// no page of ours can change that now.
type LackPage struct {
	Base
	// Lacks is an assurance.Lack, whose texts are under "lack.LACKS".
	Lacks string
	// Have are the factors that the user can prove.
	Have []idp.Factor
	// RecoverURL is where the user can sign in with a recovery code to get what is missing, "" if
	// that does not help.
	RecoverURL string
	// LeaveURL is where the user can return to the service provider, "" if unknown.
	LeaveURL string
	Refusal  *idp.Refusal // for the operators of the service provider
	ErrorID  string
	BaseURL  string // as in RefusalPage
}

// Explain returns the texts of a refusal separately: its title, the expected value, and the fix.
// They are "" for a code without them.
func (s *Set) Explain(lang Lang, r *idp.Refusal) (title, expected, fix string) {
	c := s.selectLanguage(lang).catalogue
	title, _ = c.text(refusalKey(r.Code, "title"), r.Args...)
	expected, _ = c.text(refusalKey(r.Code, "expected"), r.Args...)
	fix, _ = c.text(refusalKey(r.Code, "fix"), r.Args...)
	return title, expected, fix
}

// RetiredPage answers at the URLs of a retired year (status 410) and names the URLs to move to.
type RetiredPage struct {
	Base
	Year    idp.Year
	NewYear idp.Year // "" if no year is preferred, so that no year replaces it
	// IsRevoked reports whether the year ended early and its certificate is no longer
	// trustworthy. The reason is not disclosed.
	IsRevoked bool
	// EndedAt is when the year ended; zero if unknown.
	EndedAt time.Time
	// Changes are the values to change at a service provider that is configured by hand.
	Changes []Change
	// Fingerprint is the SHA-256 of NewYear's certificate, as openssl prints it.
	Fingerprint   string
	EntityID      string // our entity ID, which stays the same
	ErrorID       string // "" for none
	StartURL      string
	SignOutAction string // the logout page still offers to sign out here; "" on other pages
}

// FingerprintBytes returns the bytes of the fingerprint, so that a line can end between two.
func (p RetiredPage) FingerprintBytes() []string { return strings.Split(p.Fingerprint, ":") }

// Change is a URL of a year that is over, and that of the year to move to.
type Change struct {
	Text     Key
	Old, New string
	// ServesFile reports whether New serves a file and receives no messages.
	ServesFile bool
}

// NotFoundPage answers at unknown URLs (status 404).
type NotFoundPage struct {
	Base
	HomeURL string // link to our first page, "" for none
}

// ResponsePage sends a Response to the service provider through the browser (HTTP-POST
// binding, saml-bindings §3.5).
type ResponsePage struct {
	Base
	ACSURL     string
	XML        []byte // the Response to send, which the page encodes in base64
	RelayState string
	HasRelay   bool // an empty RelayState is sent back, a missing one is not
}
