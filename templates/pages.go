package templates

import (
	"strings"
	"time"

	"vernal/idp"
)

// LogoutPage hands a LogoutResponse to the service provider through the browser
// (HTTP-POST binding, saml-bindings §3.5).
type LogoutPage struct {
	Base
	// Ended is false if the session here stays, as it is not the one meant.
	Ended        bool
	Still        []string // names of services where the person may be signed in yet
	Action       string   // the registered logout address
	SAMLResponse string   // in base64
	RelayState   string
	HasRelay     bool // as in ResponsePage
}

// ConfirmPage asks before something is done: one heading, one text, one button
// that posts, and a link to leave it.
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

// ErrorPage tells of a failure that is not a Refusal.
type ErrorPage struct {
	Base
	Status      int
	Code        string // names the failure for programs
	Title, Text Key
	Args        []string // fill the placeholders of both
	ErrorID     string   // the id in our log, "" for none
	StartURL    string   // where to start again at the service provider, "" if unknown
}

// RefusalPage explains a Refusal to the person and to whoever runs the service
// provider. It shows Refusal.Seen and Refusal.Args, never Refusal.Err.
type RefusalPage struct {
	Base
	Refusal  *idp.Refusal
	ErrorID  string
	StartURL string
	// BaseURL is ours, for a program's link to the documentation.
	BaseURL string
	// SeenUnknown leaves out what was seen, where it is not recorded.
	SeenUnknown bool
	// SignInURL is where the user can sign in as someone else, "" for nowhere.
	SignInURL string
	// AccountURL is the way on where no StartURL is known, "" for none. Only the page of a
	// refusal that users can cause themselves has one.
	AccountURL string
}

// LackPage tells a person that they lack what the service provider asks for,
// and which no page of ours can give them now.
type LackPage struct {
	Base
	// Lacks is an assurance.Lack, which has its texts under "lack.LACKS".
	Lacks string
	// Have are the factors that the person can prove.
	Have []idp.Factor
	// LeaveURL is where the service provider takes them back, "" if unknown.
	LeaveURL string
	Refusal  *idp.Refusal // for whoever runs the service provider
	ErrorID  string
	BaseURL  string // as in RefusalPage
}

// Explain gives the texts of a refusal apart: what it is, what is expected, and
// how to mend it. Those of a code that has none are "".
func (s *Set) Explain(lang Lang, r *idp.Refusal) (title, expected, remedy string) {
	c := s.inLanguage(lang).catalogue
	title, _ = c.text(refusalKey(r.Code, "title"), r.Args...)
	expected, _ = c.text(refusalKey(r.Code, "expected"), r.Args...)
	remedy, _ = c.text(refusalKey(r.Code, "remedy"), r.Args...)
	return title, expected, remedy
}

// RetiredPage answers at the addresses of a retired year (status 410) and names
// those to move to.
type RetiredPage struct {
	Base
	Year    idp.Year
	NewYear idp.Year // "" if no year is preferred; then there is nothing to change to
	// Revoked: it ended early, and what its certificate proves is not to be
	// believed any more. Why is not for strangers.
	Revoked bool
	// EndedAt is when; zero if nobody knows.
	EndedAt time.Time
	// Changes are what a service provider that is set up by hand changes.
	Changes []Change
	// Fingerprint is the SHA-256 of NewYear's certificate, as openssl prints it.
	Fingerprint   string
	EntityID      string // ours, which stays
	ErrorID       string // "" for none
	StartURL      string
	SignOutAction string // the logout page still offers to sign out here; "" elsewhere
}

// FingerprintBytes are the bytes of the fingerprint, so that a line ends between two.
func (p RetiredPage) FingerprintBytes() []string { return strings.Split(p.Fingerprint, ":") }

// Change is an address of a year that is over, and that of the year to move to.
type Change struct {
	What     Key
	Old, New string
	// Load: New is a file to be loaded, and no address that a message is sent to.
	Load bool
}

// NotFoundPage answers where nothing is (status 404).
type NotFoundPage struct {
	Base
	HomeURL string // link to our first page, "" for none
}

// ResponsePage hands a Response to the service provider through the browser
// (HTTP-POST binding, saml-bindings §3.5).
type ResponsePage struct {
	Base
	ACSURL     string
	XML        []byte // the Response as it is to be sent; the page encodes it in base64
	RelayState string
	HasRelay   bool // an empty RelayState that came is sent back, one that did not come is not
}
