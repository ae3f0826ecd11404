// Package rehearsal tests a year against the live server before service providers use it: metadata,
// certificate, sign-ins by both bindings, and refusals.
//
//	service.go   the server's side: credentials and their lifetime
//	walk.go      the client's side: a browser and a service provider (SP) in one
//	steps.go, check.go   the steps, in order
//	message.go   the SP's requests, and parsing of pages
//
// A command makes a key. The server makes an SP with its certificate and a session of a
// user that cannot sign in (Begin, over the admin socket). The command walks through
// base_url like any browser (Walk) and reports the result (End). Everything that the server
// makes expires after Lifetime.
//
// Stolen credentials are of little use. The session answers only requests of the rehearsal's SP,
// and those are signed by a key that never left the command. The SP is bound to one year and one
// certificate, and its Assertion Consumer Service is a URL that cannot exist. The link, made only
// if the year is not published, opens only its metadata. A rehearsal never counts as use of a year
// and is not on the migration board. Its steps are in the audit trail.
package rehearsal

import (
	"net/http"
	"net/url"
	"time"

	"vernal/idp"
)

// Lifetime limits the duration of a rehearsal.
const Lifetime = 60 * time.Second

// acsURL is the destination of Responses. No name below .invalid exists (RFC 6761 §6.4).
const acsURL = "https://rehearsal.invalid/acs"

var acs = url.URL{Scheme: "https", Host: "rehearsal.invalid", Path: "/acs"}

// Terms are the credentials and URLs of a rehearsal.
type Terms struct {
	// ID names the rehearsal for End.
	ID   string   `json:"id"`
	Year idp.Year `json:"year"`
	// State is the name of the year's state for operators.
	State   string `json:"state"`
	BaseURL string `json:"base_url"`
	// CookieName and CookieValue are the session cookie.
	CookieName  string `json:"cookie_name"`
	CookieValue string `json:"cookie_value"`
	// Token opens the metadata of a year that is not published. Otherwise it is "".
	Token string `json:"token,omitzero"`
	// CertSHA256 is the fingerprint of the server's certificate of the year in hex.
	CertSHA256 string `json:"certificate_sha256"`
	// ClockTrusted is false after a jump of the server's clock.
	ClockTrusted bool `json:"clock_trusted"`
	// At is the server's time. EndAt is when the rehearsal expires.
	At    time.Time `json:"at"`
	EndAt time.Time `json:"end_at"`
}

func (t *Terms) newCookie() *http.Cookie {
	return &http.Cookie{Name: t.CookieName, Value: t.CookieValue}
}

// RefusedError reports a rehearsal that cannot begin, or a failed step that can be fixed.
type RefusedError struct {
	// Text is the reason. Suggestions say how to fix it.
	Text        string
	Suggestions []idp.Suggestion
}

func (e *RefusedError) Error() string { return e.Text }
