package web

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base32"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/templates"
)

// Event collects the data about one request for the log. Handlers add to it with Note. The
// middleware writes it once, at the end.
type Event struct {
	// ID identifies the request in the log. A page that fails shows its own error ID in
	// addition; see Pages.Fail.
	ID string
	// Client is the IP address that sent the request, after trusted proxies. Address is
	// the same IP address as text.
	Client  netip.Addr
	ClientIP string
	// Route is the path pattern that answers, as mounted. Unlike the path, it contains
	// nothing that the client chose. "" for an unknown URL.
	Route string
	// HidePath makes the log name the route and not the path, which contains a secret.
	HidePath bool
	// SP, Year and User are the subjects of the request, as far as they are known. The audit
	// trail names them if it is refused, and the log line names the user. SP must be
	// registered. Verified reports that a signature has proved the SP. An unsigned request only
	// claims it. User must have been proved by the password or a session, because refusals
	// spend that user's budget.
	SP       idp.EntityID
	Year     idp.Year
	User     idp.UserID
	IsVerified bool
	// SigningYear is the year whose key signed an assertion in the answer; "" if none did.
	SigningYear idp.Year

	// requestedLocale is the language that the request asks for; see Ask. lang is the language
	// of the answer, "" if it has none. hasPage reports whether the route answers GET with a
	// page.
	requestedLocale string
	requestedAt     time.Time
	lang            templates.Lang
	hasPage         bool
	// chosenLang is the language that this request chose; see ChooseLanguage.
	chosenLang templates.Lang

	refusalCode idp.RefusalCode
	hasNotedExpiry bool // NoteExpiredCert has warned
	startedAt       time.Time
	level       slog.Level
	attrs       []slog.Attr
	buffer      [16]slog.Attr // space for the attributes of a usual sign-in
}

// AnsweredRequest is an answered request, for counters. Its values are our own: there are few
// routes, years and codes, regardless of the requests of clients.
type AnsweredRequest struct {
	// Route and SignedIn are copied from the Event.
	Route    string
	SigningYear idp.Year
	// RefusalCode is the reason code of the refusal; "" if the request was not refused.
	RefusalCode idp.RefusalCode
	Status  int
	Duration    time.Duration
}

type eventKey struct{}

// EventOf returns the event of the request. It is never nil, so that handlers can be tested
// without the middleware.
func EventOf(r *http.Request) *Event {
	if e, ok := r.Context().Value(eventKey{}).(*Event); ok {
		return e
	}
	return &Event{ID: newID(), startedAt: time.Now()}
}

// Note adds attributes to the request's log event. They must not contain secrets or personal
// data other than the IP address.
func (e *Event) Note(attrs ...slog.Attr) { e.attrs = append(e.attrs, attrs...) }

// noteUser adds the user's ID to the log event, once.
func (e *Event) noteUser(user idp.UserID) {
	if !slices.ContainsFunc(e.attrs, func(a slog.Attr) bool { return a.Key == "user" }) {
		e.Note(slog.String("user", string(user)))
	}
}

// NoteExpiredCert warns, once in a request, that the certificate of the answering year has expired.
// The year continues to work, but operators must learn of it from the log.
func (e *Event) NoteExpiredCert(entry keyring.Entry, now time.Time) {
	if e.hasNotedExpiry || !entry.HasCertExpired(now) {
		return
	}
	e.hasNotedExpiry = true
	e.Note(slog.String("signing_certificate_ended", entry.Key.Cert.NotAfter.UTC().Format(time.DateOnly)))
	e.Raise(slog.LevelWarn)
}

// maxStandardRelayState is the standard's limit in bytes (saml-bindings §3.4.3). A longer RelayState
// works, up to the limit of package saml, and is noted.
const maxStandardRelayState = 80

// NoteMessage logs the unusual properties of an accepted message: a long RelayState, and, as a
// warning, an expired request certificate. cert is nil for an unsigned message.
func (e *Event) NoteMessage(relayState string, cert *x509.Certificate, now time.Time) {
	if n := len(relayState); n > maxStandardRelayState {
		e.Note(slog.Int("relay_state_bytes", n))
	}
	if cert != nil && now.After(cert.NotAfter) {
		e.Note(slog.String("request_certificate_ended", cert.NotAfter.UTC().Format(time.DateOnly)))
		e.Raise(slog.LevelWarn)
	}
}

// RequestLocale records the language that a service provider's request asked for, and when it arrived.
// All pages of the request use that language if we have it, unless the user has chosen another
// one since then. An empty locale asks for none.
func (e *Event) RequestLocale(locale string, at time.Time) {
	if locale != "" {
		e.requestedLocale, e.requestedAt = locale, at
	}
}

// Raise sets the level of the event to at least level.
func (e *Event) Raise(level slog.Level) { e.level = max(e.level, level) }

func addEvent(r *http.Request, e *Event) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), eventKey{}, e))
}

// idEncoding is Crockford's alphabet, without letters that are easily misread aloud.
var idEncoding = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// newID returns an ID of 80 random bits that can be read out over the telephone.
func newID() string {
	var b [10]byte
	rand.Read(b[:])
	return idEncoding.EncodeToString(b[:])
}
