package web

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
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

	start  time.Time
	level  slog.Level
	attrs  []slog.Attr
	buffer [16]slog.Attr // room for what a sign-in notes
}

type eventKey struct{}

// EventOf is the event of the request; never nil, so that handlers can be
// tested without the middleware.
func EventOf(r *http.Request) *Event {
	if e, ok := r.Context().Value(eventKey{}).(*Event); ok {
		return e
	}
	return &Event{ID: newID()}
}

// Note adds attributes to the request's log event. No secret and nothing
// personal but the network address may be noted.
func (e *Event) Note(attrs ...slog.Attr) { e.attrs = append(e.attrs, attrs...) }

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
