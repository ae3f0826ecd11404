// Package rehearsal walks through a year against the live server before anybody
// else does: metadata, certificate, sign-ins by both bindings, and what must be
// refused.
//
//	service.go   the server's side: who rehearses, and for how long
//	walk.go      the other side: a browser and a service provider (SP) in one
//	steps.go, check.go   what is tried, in order
//	message.go   the SP's requests, and how pages are read
//
// The flow: a command makes a key, the server makes an SP of its certificate and
// a session of a person who cannot sign in (Begin, over the admin socket), the
// command walks through base_url as anybody would (Walk), and tells the server
// how it went (End). Everything that the server makes ends by itself after
// Lifetime.
//
// What each piece is good for in wrong hands: the session answers requests of
// the rehearsal's SP alone, and those are signed by a key that never left the
// command. The SP is there for one year and one certificate, and its Assertion
// Consumer Service is an address that cannot exist. The link, made only if the
// year is not published, shows its metadata. A rehearsal never counts as use of
// a year and is on no board; its steps are on record in the audit trail.
package rehearsal

import (
	"net/http"
	"net/url"
	"time"

	"vernal/idp"
)

// Lifetime is how long a rehearsal may take.
const Lifetime = 60 * time.Second

// acsURL is where Responses are addressed to; no name below .invalid exists
// (RFC 6761 §6.4).
const acsURL = "https://rehearsal.invalid/acs"

var acs = url.URL{Scheme: "https", Host: "rehearsal.invalid", Path: "/acs"}

// Terms are what a rehearsal works with.
type Terms struct {
	// ID names the rehearsal for End.
	ID   string   `json:"id"`
	Year idp.Year `json:"year"`
	// State is the year's, as people know it.
	State   string `json:"state"`
	BaseURL string `json:"base_url"`
	// CookieName and CookieValue are the session.
	CookieName  string `json:"cookie_name"`
	CookieValue string `json:"cookie_value"`
	// Token opens the year's metadata if it is not published, else "".
	Token string `json:"token,omitzero"`
	// CertSHA256 is the year's certificate as the server has it, hex.
	CertSHA256 string `json:"certificate_sha256"`
	// ClockTrusted is false after a jump of the server's clock.
	ClockTrusted bool `json:"clock_trusted"`
	// At is the server's time, EndAt when all of this ends.
	At    time.Time `json:"at"`
	EndAt time.Time `json:"end_at"`
}

// cookie is the session's.
func (t *Terms) cookie() *http.Cookie {
	return &http.Cookie{Name: t.CookieName, Value: t.CookieValue}
}

// RefusedError is a rehearsal that is not begun, or a step whose failure has a fix.
type RefusedError struct {
	// Text says why, Suggestions what can fix it.
	Text        string
	Suggestions []idp.Suggestion
}

func (e *RefusedError) Error() string { return e.Text }
