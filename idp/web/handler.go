// Package web contains the parts that every handler needs: the handler type that returns its
// error, the router that knows methods and years, the middleware around all of them, and the one
// place where an error becomes a page.
//
// The flow of a request: Middleware (request ID, peer's IP address, body limit, security
// headers, recovery, one log event) → Router (path, method) → Handler → Pages.Fail, if the
// handler returned an error.
//
// Of SAML, the package knows only the form of a year in a path, and the parts of a request that
// carry a message.
package web

import (
	"errors"
	"net/http"

	"vernal/idp"
	"vernal/idp/assurance"
)

// Handler answers a request, or returns an error without having written anything. The error
// becomes a page in one place; see Pages.Fail.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Error is a failure with the details that its page discloses to the user. Without one, an
// *idp.Refusal is a 400 and any other error a 500 without details.
type Error struct {
	// Status is the HTTP status; 0 derives it from Err.
	Status int
	// Key names the page's texts in the catalogues ("error.KEY.title"). It is not used
	// when Err holds an *idp.Refusal, which has its own.
	Key string
	// Args fill the placeholders of the texts.
	Args []string
	// Sender is the service provider that the user came from, if it is known.
	Sender
	// SignInURL is where the user can sign in as someone else; "" if that does not
	// help.
	SignInURL string
	// Obstacle is the reason why the user cannot meet the request. LeaveURL is where the user
	// can continue despite it; see NewLackError.
	// RecoverURL is where the user can remove the obstacle, "" if they cannot.
	Obstacle             *assurance.Obstacle
	LeaveURL, RecoverURL string
	// Plain requests text, regardless of the Accept header, because the client is a program.
	Plain bool
	// Err is for the log, and selects the kind of the page.
	Err error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return e.Key
}

func (e *Error) Unwrap() error { return e.Err }

// Sender is the service provider that the user came from, as far as pages show it. The zero
// value is for a page outside a sign-in.
type Sender struct {
	SPName string
	// SPLogo is the path of its logo, "" for none. Only a page of a verified request shows
	// one, so that an attacker cannot borrow it.
	SPLogo string
	// StartURL is where to start again at the provider, "" if unknown.
	StartURL string
}

// NewSender returns the sender of a request. isVerified reports whether its signature was
// verified.
func NewSender(p *idp.ServiceProvider, isVerified bool) Sender {
	s := Sender{SPName: p.Name, StartURL: p.StartURL()}
	if isVerified {
		s.SPLogo = p.LogoPath()
	}
	return s
}

// NewLackError returns the refusal of a user who cannot meet the level that the service provider
// requests. If proofing is missing, its LeaveURL is the provider's help for users who could not
// be proofed, otherwise its return URL.
func NewLackError(p *idp.ServiceProvider, s Sender, o *assurance.Obstacle) *Error {
	e := &Error{Sender: s, LeaveURL: p.ReturnToSPURL, Obstacle: o, Err: o.Refusal()}
	if o.Code == idp.RefusedNoProofing && p.FailureToProofURL != "" {
		e.LeaveURL = p.FailureToProofURL
	}
	return e
}

// NameSender adds to an error the service provider that the user came from. It does not change
// nil or an error that is already a page, such as the 404 of an unpublished year, which names no
// service provider.
func NameSender(s Sender, err error) error {
	if _, isPage := errors.AsType[*Error](err); err == nil || isPage {
		return err
	}
	return &Error{Sender: s, Err: err}
}

// ErrNotFound is the plain 404 page.
var ErrNotFound = &Error{Status: http.StatusNotFound, Key: "not_found", Err: errors.New("no such URL")}
