// Package yearaccess decides which requests may use a year. One Gate answers for every
// handler of a yearly URL, so that a year opens and closes everywhere at once:
//
//	live               the year
//	retired, revoked   *web.GoneYear
//	key missing        *web.ClosedYear
//	not published      the year, if a preview opens it to the request; else the 404 of
//	                   a year that was never made
//	never made         that 404
//
// A preview is the field "preview" of a service provider's (SP's) registration or a preview link.
// The link sets a cookie in the browser that opens it, one for each pair of SP and year, so that a
// browser can hold several previews. The cookie contains the link's token. It opens only what the
// token opens, and ends when the link expires or is revoked.
//
// The flow of a SAML message, in the order of its calls:
//
//	Begin     before anything of the request is read
//	Refuse    the message cannot be read
//	Admit     its sender is known, and whether the signature verified
//	Recheck   at each later step of a sign-in or logout, and last before the signature
//
// No step relies on the decision of an earlier one, so a preview that was revoked in between opens
// nothing. OpenDocument opens metadata and certificates.
//
// # Disclosure to strangers
//
// A stranger learns nothing about an unpublished year, not even whether it was made. A year that
// is not published and one that was never made take the same path: the same page, and the same
// work before it. If no registration and no link opens any year, the Gate does not read the
// request. If one does, the message is verified, and its errors are explained only to a sender
// that is allowed to use the year. Naming an SP that previews the year is not enough.
//
// # Scope of the cookie
//
// The cookie opens one year to requests of one SP, and nothing else. It is no session: the user
// still signs in, and the cookies of session and sign-in stay SameSite=Lax. So it can be
// SameSite=None, and arrives with the AuthnRequest that an SP's page posts. Another site
// can make the browser bring a message to the unpublished year, as it always can by GET.
// That message needs the SP's signature wherever the live year needs it, and is answered,
// to the SP's registered URL, as the live year answers it.
//
// SameSite=Lax would also keep the cookie from images, scripts and frames in pages of other sites,
// which could otherwise conclude from their loading that the visitor previews a year. Therefore the
// cookie counts only where the browser navigates (Sec-Fetch-Dest).
//
// SameSite=None needs Secure. Over http, on loopback, the cookie is SameSite=Lax, so only the field
// opens a year to a message that another site posts.
package yearaccess

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/keyring"
	"vernal/idp/sharelink"
	"vernal/idp/sp"
	"vernal/idp/web"
)

// PreviewField is the value of idp.LoginRequest.Preview if the registration of the SP opened the
// year. Otherwise that value is the ID of a link.
const PreviewField = "field"

// ErrNotPublished is the cause, for the log, of the 404 of a year that no preview opens.
var ErrNotPublished = errors.New("the year is not published, and no preview opens it to this request")

// Gate knows the years and the previews. LookupLive and EndedYear need only Years and Clock. All
// fields are required for the rest.
type Gate struct {
	Years *keyring.Ring
	Clock idp.Clock
	Links *sharelink.Service
	// HasFields reports whether the registration of some SP opens some year.
	HasFields func(context.Context) (bool, error)
	// Pages records each use of a preview.
	Pages *web.Pages
	// Secure is set when base_url is https, as for all our cookies.
	Secure bool
}

// Visit is a request at a yearly URL whose sender is not known yet.
type Visit struct {
	gate   *Gate
	r      *http.Request
	entry  keyring.Entry // zero if the year was never made
	isHidden bool          // not published, or never made
	isServer bool
}

// Begin takes a request that a browser brings to the yearly URL. It does not read its content.
func (g *Gate) Begin(r *http.Request) (Visit, error) { return g.beginVisit(r, false) }

// BeginServer is Begin for the back channel. A server has opened no link, so only the
// registration of its SP opens an unpublished year.
func (g *Gate) BeginServer(r *http.Request) (Visit, error) { return g.beginVisit(r, true) }

func (g *Gate) beginVisit(r *http.Request, server bool) (Visit, error) {
	entry, hidden, err := g.lookupYear(web.Year(r))
	if err != nil {
		return Visit{}, err
	}
	if hidden {
		if expected, err := g.isExpecting(r.Context()); err != nil {
			return Visit{}, fmt.Errorf("find previews: %w", err)
		} else if !expected {
			return Visit{}, newNotPublishedError(nil)
		}
	}
	return Visit{gate: g, r: r, entry: entry, isHidden: hidden, isServer: server}, nil
}

// Refuse returns the error for a message that cannot be read: why on a live year, otherwise the 404
// of a year that was never made. A nil error stays nil.
func (v *Visit) Refuse(why error) error {
	if why != nil && v.isHidden {
		return newNotPublishedError(why)
	}
	return why
}

// Admit decides whether a message from p may use the year, and names the preview that opened the
// year if it is not published. p is nil if the sender is unknown. verified means that p's signature
// was verified. failed is the fault of the message, if any. The caller answers with it if Admit
// returns no error, because then the sender may see it.
func (v *Visit) Admit(p *sp.Provider, verified bool, failed error) (keyring.Entry, string, error) {
	if !v.isHidden {
		return v.entry, "", nil
	}
	var refusal *idp.Refusal
	if failed != nil && !errors.As(failed, &refusal) {
		return keyring.Entry{}, "", failed // ours
	}
	// Nothing is explained to a message that anyone can make in the name of p.
	if p == nil || failed != nil && !verified {
		return keyring.Entry{}, "", newNotPublishedError(failed)
	}
	year := web.Year(v.r)
	by, err := v.gate.findPreview(v.r, p, year, v.isServer)
	switch {
	case err != nil:
		return keyring.Entry{}, "", err
	case by == "" || v.entry.Key == nil:
		return keyring.Entry{}, "", newNotPublishedError(failed)
	}
	web.EventOf(v.r).Note(slog.String("preview", by))
	if failed == nil {
		v.gate.Pages.RecordPreview(v.r, audit.PreviewAdmitted, p.EntityID, year, by)
	}
	return v.entry, by, nil
}

// Recheck decides again for a message from p that was admitted before, with the current
// registration, link and browser. by names the preview that opened the year before. It stays if the
// year has been published since, because the message still counts as a preview.
func (g *Gate) Recheck(r *http.Request, p *sp.Provider, y idp.Year, by string) (keyring.Entry, string, error) {
	entry, hidden, err := g.lookupYear(y)
	if err != nil || !hidden {
		return entry, by, err
	}
	opened, err := g.findPreview(r, p, y, false)
	switch {
	case err != nil:
		return keyring.Entry{}, by, err
	case opened == "" || entry.Key == nil:
		return keyring.Entry{}, by, newNotPublishedError(nil)
	}
	return entry, opened, nil
}

// OpenDocument returns the year of a URL at which documents are loaded. An unpublished one
// takes the token of a link in the parameter "preview", whichever SP the link is for:
// documents are loaded without cookies, and are the same for all.
func (g *Gate) OpenDocument(r *http.Request) (entry keyring.Entry, unpublished bool, err error) {
	y := web.Year(r)
	entry, hidden, err := g.lookupYear(y)
	if err != nil || !hidden {
		return entry, false, err
	}
	l, err := g.Links.Check(r.Context(), sharelink.Preview, r.URL.Query().Get("preview"))
	switch {
	case errors.Is(err, idp.ErrNotFound) || err == nil && (l.Year != y || entry.Key == nil):
		return keyring.Entry{}, false, newNotPublishedError(nil)
	case err != nil:
		return keyring.Entry{}, false, fmt.Errorf("check preview of %s: %w", y, err)
	}
	web.EventOf(r).Note(slog.String("preview", l.ID))
	g.Pages.RecordPreview(r, audit.PreviewFetched, l.SP, l.Year, l.ID)
	return entry, true, nil
}

// LookupLive returns a year that answers everyone.
func (g *Gate) LookupLive(y idp.Year) (keyring.Entry, error) {
	entry, hidden, err := g.lookupYear(y)
	if err == nil && hidden {
		return keyring.Entry{}, newNotPublishedError(nil)
	}
	return entry, err
}

// CheckEnded returns the error of a year that is over according to the store, which knows it
// a moment before Years does.
func (g *Gate) CheckEnded(y idp.Year) error { return web.EndedYear(g.Years, y, g.Clock.Now()) }

// lookupYear returns a year. hidden is set for one that is not published and, with a zero
// entry, for one that was never made.
func (g *Gate) lookupYear(y idp.Year) (entry keyring.Entry, hidden bool, err error) {
	entry, err = web.LookupYear(g.Years, y, g.Clock.Now())
	if errors.Is(err, web.ErrNotFound) {
		return keyring.Entry{}, true, nil
	}
	return entry, err == nil && !entry.State.IsLive(), err
}

// isExpecting reports whether some registration or some link opens some year. Neither the
// request nor the year that it names plays a part, so the answer discloses nothing of them.
func (g *Gate) isExpecting(ctx context.Context) (bool, error) {
	if found, err := g.HasFields(ctx); found || err != nil {
		return found, err
	}
	links, err := g.Links.List(ctx, sharelink.Preview)
	if err != nil {
		return false, err
	}
	now := g.Links.Clock.Now()
	return slices.ContainsFunc(links, func(l sharelink.Link) bool { return l.IsLive(now) }), nil
}

// findPreview returns the preview that opens an unpublished year to a request of an SP: ByField, the
// ID of a link, or "" if none does.
func (g *Gate) findPreview(r *http.Request, p *sp.Provider, y idp.Year, server bool) (string, error) {
	if p.Preview == y {
		return PreviewField, nil
	}
	if server || !isNavigation(r) {
		return "", nil
	}
	c, err := r.Cookie(g.formatCookieName(hashCookieID(p.EntityID, y)))
	if err != nil {
		return "", nil
	}
	l, err := g.Links.Check(r.Context(), sharelink.Preview, c.Value)
	switch {
	case errors.Is(err, idp.ErrNotFound) || err == nil && (l.SP != p.EntityID || l.Year != y):
		return "", nil // ended, or another preview's token under this one's name
	case err != nil:
		return "", fmt.Errorf("find what opens %s: %w", y, err)
	}
	return l.ID, nil
}

// newNotPublishedError returns the 404 of a year that was never made. why may be nil. It is another
// fault of the request and goes only to the log.
func newNotPublishedError(why error) error {
	err := ErrNotPublished
	if why != nil {
		// Not wrapped: a refusal in there would become the page.
		err = fmt.Errorf("%w; also: %v", ErrNotPublished, why)
	}
	return &web.Error{Status: web.ErrNotFound.Status, Key: web.ErrNotFound.Key, Err: err}
}
