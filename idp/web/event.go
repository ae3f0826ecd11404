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

// Event is what the log will say of one request. Handlers add to it with Note;
// the middleware writes it once, at the end.
type Event struct {
	// ID names the request in the log; a page that fails shows its own error
	// id beside it, see Pages.Fail.
	ID string
	// Client is the address the request came from, after trusted proxies, and
	// Address the same as text.
	Client  netip.Addr
	Address string
	// Route is the address that answers, as it was mounted: unlike the path it
	// holds nothing that the client chose. "" for an address that we do not have.
	Route string
	// HidePath has the log name the route and not the path, which holds a secret.
	HidePath bool
	// SP, Year and User are what the request is about, as far as it is known: the
	// audit trail names them if it is refused, and the log line names the user. SP
	// must be registered; Verified says that it has proven, by a signature, that it
	// is the one: an unsigned request only claims its SP. User must have been proven, by
	// the password or a session: its refusals spend that user's budget.
	SP       idp.EntityID
	Year     idp.Year
	User     idp.UserID
	Verified bool
	// SignedIn is the year whose key signed an assertion in the answer; "" if
	// none did.
	SignedIn idp.Year

	// asked is the language that the request asks for; see Ask. lang is that of
	// the answer, "" for one that has none; shown: the route has a page of its
	// own, by GET.
	asked   string
	askedAt time.Time
	lang    templates.Lang
	shown   bool
	// chosen is the language that this request chose; see ChooseLanguage.
	chosen templates.Lang

	refused idp.RefusalCode
	ended   bool // NoteEnded has spoken
	start   time.Time
	level   slog.Level
	attrs   []slog.Attr
	buffer  [16]slog.Attr // room for what a sign-in notes
}

// Answered is a request that has its answer, for those who count. All of it is
// ours: there are few routes, years and codes, however many are asked for.
type Answered struct {
	// Route and SignedIn are the Event's.
	Route    string
	SignedIn idp.Year
	// Refused is why the request was refused; "" if it was not.
	Refused idp.RefusalCode
	Status  int
	Took    time.Duration
}

type eventKey struct{}

// EventOf is the event of the request; never nil, so that handlers can be
// tested without the middleware.
func EventOf(r *http.Request) *Event {
	if e, ok := r.Context().Value(eventKey{}).(*Event); ok {
		return e
	}
	return &Event{ID: newID(), start: time.Now()}
}

// Note adds attributes to the request's log event. No secret and nothing
// personal but the network address may be noted.
func (e *Event) Note(attrs ...slog.Attr) { e.attrs = append(e.attrs, attrs...) }

// noteUser adds the user's ID to the log event, once.
func (e *Event) noteUser(user idp.UserID) {
	if !slices.ContainsFunc(e.attrs, func(a slog.Attr) bool { return a.Key == "user" }) {
		e.Note(slog.String("user", string(user)))
	}
}

// NoteEnded warns, once in a request, that the year which answers it has a
// certificate past its end: it works on, and whoever reads the log shall know.
func (e *Event) NoteEnded(entry keyring.Entry, now time.Time) {
	if e.ended || !entry.CertExpired(now) {
		return
	}
	e.ended = true
	e.Note(slog.String("signing_certificate_ended", entry.Key.Cert.NotAfter.UTC().Format(time.DateOnly)))
	e.Raise(slog.LevelWarn)
}

// relayStateBound is the standard's limit in bytes (saml-bindings §3.4.3). A
// longer one works up to what package saml takes, and is noted.
const relayStateBound = 80

// NoteMessage tells what is unusual about a message that was accepted: a long
// RelayState, and, as a warning, a request certificate that has ended. cert is
// nil for an unsigned message.
func (e *Event) NoteMessage(relayState string, cert *x509.Certificate, now time.Time) {
	if n := len(relayState); n > relayStateBound {
		e.Note(slog.Int("relay_state_bytes", n))
	}
	if cert != nil && now.After(cert.NotAfter) {
		e.Note(slog.String("request_certificate_ended", cert.NotAfter.UTC().Format(time.DateOnly)))
		e.Raise(slog.LevelWarn)
	}
}

// Ask says what language a service provider's request asked for, and when it
// came: everything that is shown within it is in that language if we have it,
// unless the person chose another one since. An empty locale asks for none.
func (e *Event) Ask(locale string, at time.Time) {
	if locale != "" {
		e.asked, e.askedAt = locale, at
	}
}

// Raise sets the level of the event to at least level.
func (e *Event) Raise(level slog.Level) { e.level = max(e.level, level) }

func withEvent(r *http.Request, e *Event) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), eventKey{}, e))
}

// idEncoding is Crockford's alphabet: no letter that is misread aloud.
var idEncoding = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// newID makes an id of 80 random bits that can be read over the telephone.
func newID() string {
	var b [10]byte
	rand.Read(b[:])
	return idEncoding.EncodeToString(b[:])
}
