package templates

import (
	"io"
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

// Logout writes the page that posts a LogoutResponse.
func (s *Set) Logout(w io.Writer, p LogoutPage) error {
	p.ReturnURL = "" // the button leads there, with the answer
	return s.html(w, "logout", p.Lang, p)
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

// Confirm writes a page with one button.
func (s *Set) Confirm(w io.Writer, p ConfirmPage) error { return s.html(w, "confirm", p.Lang, p) }

// ErrorPage tells of a failure that is not a Refusal.
type ErrorPage struct {
	Base
	Status      int
	Title, Text Key
	Args        []string // fill the placeholders of both
	ErrorID     string   // the id in our log, "" for none
	StartURL    string   // where to start again at the service provider, "" if unknown
}

// Error writes an error page.
func (s *Set) Error(w io.Writer, p ErrorPage) error { return s.html(w, "error", p.Lang, p) }

// ErrorText is Error for a client that takes no HTML.
func (s *Set) ErrorText(w io.Writer, p ErrorPage) error { return s.text(w, "error", p.Lang, p) }

// RefusalPage explains a Refusal to the person and to whoever runs the service
// provider. It shows Refusal.Seen and Refusal.Args, never Refusal.Err.
type RefusalPage struct {
	Base
	Refusal  *idp.Refusal
	ErrorID  string
	StartURL string
	// SignInURL is where the user can sign in as someone else, "" for nowhere.
	SignInURL string
}

// Refusal writes the page of a refused message.
func (s *Set) Refusal(w io.Writer, p RefusalPage) error { return s.html(w, "refusal", p.Lang, p) }

// RefusalText is Refusal for a client that takes no HTML.
func (s *Set) RefusalText(w io.Writer, p RefusalPage) error { return s.text(w, "refusal", p.Lang, p) }

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
}

// Lack writes the page of somebody who lacks what is asked for.
func (s *Set) Lack(w io.Writer, p LackPage) error { return s.html(w, "lack", p.Lang, p) }

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

// Change is an address of a year that is over, and that of the year to move to.
type Change struct {
	What     Key
	Old, New string
	// Load: New is a file to be loaded, and no address that a message is sent to.
	Load bool
}

// Retired writes the page of a retired year.
func (s *Set) Retired(w io.Writer, p RetiredPage) error { return s.html(w, "retired", p.Lang, p) }

// RetiredText is Retired for a client that takes no HTML.
func (s *Set) RetiredText(w io.Writer, p RetiredPage) error { return s.text(w, "retired", p.Lang, p) }

// NotFoundPage answers where nothing is (status 404).
type NotFoundPage struct {
	Base
	HomeURL string // link to our first page, "" for none
}

// NotFound writes the page for an address that does not exist.
func (s *Set) NotFound(w io.Writer, p NotFoundPage) error { return s.html(w, "notfound", p.Lang, p) }

// NotFoundText is NotFound for a client that takes no HTML.
func (s *Set) NotFoundText(w io.Writer, p NotFoundPage) error {
	return s.text(w, "notfound", p.Lang, p)
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

// Response writes the page that posts a Response. AppendResponse is the same
// for callers that keep a buffer.
func (s *Set) Response(w io.Writer, p ResponsePage) error {
	room := 4096 + len(p.XML)*4/3 + len(p.XML)/10 + 2*len(p.RelayState)
	page, err := s.AppendResponse(make([]byte, 0, room), p)
	if err != nil {
		return err
	}
	_, err = w.Write(page)
	return err
}
