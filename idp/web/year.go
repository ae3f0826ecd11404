package web

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"vernal/certs"
	"vernal/idp"
)

// closedRetryAfter is when a client may ask a closed year again: the rotation
// looks for its restored key every minute.
const closedRetryAfter = 2 * time.Minute

// Closed is the answer of a live year whose signing key is missing or not the
// recorded one: 503 with Retry-After, as it opens again when the key is back.
type Closed struct {
	Year  idp.Year
	Fault certs.KeyFault
}

func (c *Closed) Error() string {
	return fmt.Sprintf("year %s is closed (%s): %s", c.Year, c.Fault, c.Fault.Describe(c.Year))
}

// Gone is the answer of a year that is over. Its page names the year to move to,
// and what changes with it.
type Gone struct {
	Year idp.Year
	// Revoked and EndedAt say how and when it ended; a zero time if that is unknown.
	Revoked bool
	EndedAt time.Time
	// Successor is the year that service providers should move to, "" if there is
	// none; Cert its certificate.
	Successor idp.Year
	Cert      *x509.Certificate
	// SignOut is where the page's form to sign out here goes; "" for no form.
	SignOut string
}

// goneYear is the answer of a year that is over.
func goneYear(years *certs.Ring, e certs.Entry, now time.Time) *Gone {
	g := &Gone{Year: e.Key.Year, Revoked: e.State == certs.Revoked, EndedAt: years.EndedAt(e.Key.Year)}
	if t, ok := years.Target(now); ok {
		g.Successor, g.Cert = t.Key.Year, t.Key.Cert
	}
	return g
}

func (g *Gone) Error() string { return "year " + string(g.Year) + " is retired" }

// LiveYear returns the year that a URL names, if its endpoint URLs answer
// everyone now. Otherwise the error is ErrNotFound, a *Gone for a year that is
// over, or a *Closed for one that cannot sign. Every handler of a yearly URL
// asks here or at PreviewYear, so that a year opens and closes everywhere at
// once.
func LiveYear(years *certs.Ring, y idp.Year, now time.Time) (certs.Entry, error) {
	entry, unpublished, err := PreviewYear(years, y, now)
	if err == nil && unpublished {
		return certs.Entry{}, ErrNotFound
	}
	return entry, err
}

// PreviewYear is LiveYear, and also returns a year that can sign and is not
// published yet. The caller of an unpublished year checks whether the request is
// allowed to see it. Without that the answer is ErrNotFound, and looks like that
// of a year that was never made.
func PreviewYear(years *certs.Ring, y idp.Year, now time.Time) (entry certs.Entry, unpublished bool, err error) {
	entry, ok := years.Lookup(y, now)
	switch {
	case ok && entry.State.Over():
		return certs.Entry{}, false, goneYear(years, entry, now)
	case ok && entry.Closed():
		return certs.Entry{}, false, &Closed{Year: y, Fault: entry.Fault}
	case ok && entry.State.Live():
		return entry, false, nil
	case ok && entry.State == certs.Created && entry.Key.Signer != nil && entry.Key.Cert != nil:
		return entry, true, nil
	}
	return certs.Entry{}, false, ErrNotFound
}

// HiddenYear is PreviewYear for a handler that must not show whether a year that
// is not published was made: hidden is set for either, and the entry of one that
// was never made is zero. The handler does the same work for both, and answers
// Unopened to all who may not see the year.
func HiddenYear(years *certs.Ring, y idp.Year, now time.Time) (entry certs.Entry, hidden bool, err error) {
	entry, hidden, err = PreviewYear(years, y, now)
	if errors.Is(err, ErrNotFound) {
		return certs.Entry{}, true, nil
	}
	return entry, hidden, err
}

// ErrUnopened is the cause, for the log, of the 404 of a year that is not
// published.
var ErrUnopened = errors.New("the year is not published, and no preview opens it to this request")

// Unopened is the answer of a year that is not published to a request without
// leave to be there: the page of a year that was never made. why, which may be
// nil, is what else was wrong with the request, for the log alone.
func Unopened(why error) error {
	err := ErrUnopened
	if why != nil {
		// Not wrapped: a refusal in there would become the page.
		err = fmt.Errorf("%w; besides: %v", ErrUnopened, why)
	}
	return &Error{Status: ErrNotFound.Status, Key: ErrNotFound.Key, Err: err}
}

// EndedYear is the answer of a year that is over by the store, which knows it a
// moment before the Ring does.
func EndedYear(years *certs.Ring, y idp.Year, now time.Time) error {
	_, _, err := PreviewYear(years, y, now)
	var gone *Gone
	if errors.As(err, &gone) {
		return gone
	}
	gone = &Gone{Year: y}
	if t, ok := years.Target(now); ok && t.Key.Year != y {
		gone.Successor, gone.Cert = t.Key.Year, t.Key.Cert
	}
	return gone
}
