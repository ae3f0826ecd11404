// Package preview decides who may use a year before it is published: a service
// provider (SP) whose registration says so (its field "preview"), and a browser
// that was shown a preview link for that SP and year.
//
// A link sets a cookie in the browser that opens it, one for each pair of SP and
// year, so that several previews live side by side. The cookie holds the link's
// token and nothing else: it opens what the token opens, ends when the link ends
// or is revoked, and says nothing of the person.
//
// The right is found anew at each step of a sign-in (Opens) and is never carried
// along: what was revoked a moment ago opens nothing. Whether a year is published
// is package web's to say, and what is shown to whom the handlers'.
package preview

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/link"
)

// What opened a year, as idp.LoginRequest.Preview says it; the ID of a link is
// the third.
const (
	// ByField: the SP's registration.
	ByField = "field"
	// ByLink: a link that the browser has yet to show.
	ByLink = "link"
)

// Path is the page of the links, which take their token in the parameter "link".
const Path = "/developers/preview"

// maxCookies bounds the previews that one browser can hold.
const maxCookies = 8

// Service knows the previews. All fields are required.
type Service struct {
	Links *link.Service
	// Secure is set when base_url is https, as for all our cookies.
	Secure bool
	// Fields reports whether the registration of some SP opens some year. It
	// is asked at each request to a hidden year.
	Fields func(context.Context) (bool, error)
}

// Expects reports whether some registration or some link opens some year that is
// not published. Where none does, a request to such a year is refused before
// anything of it is read. Neither the request nor the year that it names plays a
// part, so the answer discloses nothing of them.
func (s *Service) Expects(ctx context.Context) (bool, error) {
	if found, err := s.Fields(ctx); found || err != nil {
		return found, err
	}
	links, err := s.Links.List(ctx, link.Preview)
	if err != nil {
		return false, err
	}
	now := s.Links.Clock.Now()
	return slices.ContainsFunc(links, func(l link.Link) bool { return l.Live(now) }), nil
}

// Opens says what opens an unpublished year of an SP to the browser: ByField or
// the ID of a link; "" if nothing does.
func (s *Service) Opens(r *http.Request, p *idp.ServiceProvider, y idp.Year) (string, error) {
	if p.Preview == y {
		return ByField, nil
	}
	c, err := r.Cookie(s.cookieName(cookieID(p.EntityID, y)))
	if err != nil {
		return "", nil
	}
	l, err := s.Links.Check(r.Context(), link.Preview, c.Value)
	if errors.Is(err, idp.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if l.SP != p.EntityID || l.Year != y {
		return "", nil // another preview's token under this one's name
	}
	return l.ID, nil
}

// Admits is Opens for a request that has just come, whose message was verified
// or not. A POST from another site has not brought the cookie of a link: if its
// message is well signed and some link for its SP is outstanding, it is let in as
// ByLink, as far as the place where the cookie is read.
func (s *Service) Admits(r *http.Request, p *idp.ServiceProvider, y idp.Year, verified bool) (string, error) {
	by, err := s.Opens(r, p, y)
	if err != nil || by != "" || r.Method != http.MethodPost || !verified {
		return by, err
	}
	if outstanding, err := s.Outstanding(r.Context(), p.EntityID, y); err != nil || !outstanding {
		return "", err
	}
	return ByLink, nil
}

// Outstanding reports whether some browser could hold a link for the SP and the
// year.
func (s *Service) Outstanding(ctx context.Context, sp idp.EntityID, y idp.Year) (bool, error) {
	return s.Links.Outstanding(ctx, y, sp)
}

// Inside is a preview that a browser is in.
type Inside struct {
	link.Link
	// Cookie names the preview for Leave. It is no secret.
	Cookie string
	// Token is the link's: for the addresses that take it.
	Token string
}

// Inside lists the previews that the browser is in, the one that ends first
// first.
func (s *Service) Inside(r *http.Request) ([]Inside, error) {
	var all []Inside
	prefix, tried := s.cookieName(""), 0
	for _, c := range r.Cookies() {
		id, ours := strings.CutPrefix(c.Name, prefix)
		if !ours || tried == 4*maxCookies { // who sends more made them up
			continue
		}
		tried++
		l, err := s.Links.Check(r.Context(), link.Preview, c.Value)
		if errors.Is(err, idp.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if id == cookieID(l.SP, l.Year) {
			all = append(all, Inside{Link: *l, Cookie: id, Token: c.Value})
		}
	}
	slices.SortStableFunc(all, func(a, b Inside) int { return a.ExpiresAt.Compare(b.ExpiresAt) })
	return all, nil
}

// Enter puts the browser into the preview of a link that Check found good. If
// it is in too many, the one that ends first gives way.
func (s *Service) Enter(w http.ResponseWriter, r *http.Request, l *link.Link, token string, now time.Time) error {
	inside, err := s.Inside(r)
	if err != nil {
		return err
	}
	id := cookieID(l.SP, l.Year)
	inside = slices.DeleteFunc(inside, func(i Inside) bool { return i.Cookie == id })
	for ; len(inside) >= maxCookies; inside = inside[1:] {
		s.Leave(w, inside[0].Cookie)
	}
	c := s.cookie(id, token)
	if !l.ExpiresAt.IsZero() {
		c.MaxAge = max(1, int(l.ExpiresAt.Sub(now)/time.Second))
	}
	http.SetCookie(w, c)
	return nil
}

var cookieIDForm = regexp.MustCompile(`^[0-9a-f]{16}$`)

// Leave takes the browser out of a preview, by its Inside.Cookie.
func (s *Service) Leave(w http.ResponseWriter, id string) {
	if !cookieIDForm.MatchString(id) {
		return
	}
	c := s.cookie(id, "")
	c.MaxAge = -1
	http.SetCookie(w, c)
}

// cookie is SameSite=Lax: it comes along when an SP sends the browser here by
// GET, and not with a form that another site posts.
func (s *Service) cookie(id, value string) *http.Cookie {
	return &http.Cookie{
		Name: s.cookieName(id), Value: value, Path: "/",
		Secure: s.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

func (s *Service) cookieName(id string) string {
	if s.Secure {
		return "__Host-vernal-preview-" + id
	}
	return "vernal-preview-" + id
}

// cookieID names the cookie of a pair of SP and year.
func cookieID(sp idp.EntityID, y idp.Year) string {
	sum := sha256.Sum256([]byte(string(y) + "\x00" + string(sp)))
	return hex.EncodeToString(sum[:8])
}
