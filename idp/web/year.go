package web

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
)

// closedRetryAfter is when a client may ask a closed year again. The rotation looks for its
// restored key every minute.
const closedRetryAfter = 2 * time.Minute

// ClosedYear is the answer of a live year whose signing key is missing or not the recorded one:
// 503 with Retry-After, because it opens again when the key is back.
type ClosedYear struct {
	Year  idp.Year
	Fault rotation.KeyFault
}

func (c *ClosedYear) Error() string {
	return fmt.Sprintf("year %s is closed: %s", c.Year, c.Fault)
}

// GoneYear is the answer of a year that is over. Its page names the year to move to, and the URLs
// that change with it.
type GoneYear struct {
	Year idp.Year
	// Revoked and EndedAt say how and when it ended; a zero time if that is unknown.
	Revoked bool
	EndedAt time.Time
	// Successor is the year that service providers should move to, "" for none. Cert is its
	// certificate.
	Successor idp.Year
	Cert      *x509.Certificate
	// SignOut is the URL of the page's form to sign out here; "" for no form.
	SignOut string
}

// newGoneYear returns the answer of a year that is over.
func newGoneYear(years *keyring.Ring, e keyring.Entry, now time.Time) *GoneYear {
	g := &GoneYear{Year: e.Key.Year, Revoked: e.State == rotation.Revoked, EndedAt: years.EndedAt(e.Key.Year)}
	if t, ok := years.Target(now); ok {
		g.Successor, g.Cert = t.Key.Year, t.Key.Cert
	}
	return g
}

func (g *GoneYear) Error() string { return "year " + string(g.Year) + " is retired" }

// LookupYear returns a year that can sign, published or not. Otherwise the error is a *GoneYear
// for a year that is over, a *ClosedYear for a live one that cannot sign, or ErrNotFound. Only
// package yearaccess calls it, which decides about access to the year.
func LookupYear(years *keyring.Ring, y idp.Year, now time.Time) (keyring.Entry, error) {
	entry, ok := years.Lookup(y, now)
	switch {
	case ok && entry.State.IsOver():
		return keyring.Entry{}, newGoneYear(years, entry, now)
	case ok && entry.IsClosed():
		return keyring.Entry{}, &ClosedYear{Year: y, Fault: entry.Fault}
	case ok && entry.State.IsLive():
		return entry, nil
	case ok && entry.State == rotation.Created && entry.Key.Signer != nil && entry.Key.Cert != nil:
		return entry, nil
	}
	return keyring.Entry{}, ErrNotFound
}

// EndedYear returns the answer of a year that is over according to the store, which knows it a
// moment before the Ring does.
func EndedYear(years *keyring.Ring, y idp.Year, now time.Time) error {
	_, err := LookupYear(years, y, now)
	var gone *GoneYear
	if errors.As(err, &gone) {
		return gone
	}
	gone = &GoneYear{Year: y}
	if t, ok := years.Target(now); ok && t.Key.Year != y {
		gone.Successor, gone.Cert = t.Key.Year, t.Key.Cert
	}
	return gone
}
