package yearaccess

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
	"vernal/idp/audit"
	"vernal/idp/sharelink"
)

// Path is the page of the links, which take their token in the parameter "link".
const Path = "/developers/preview"

// maxCookies bounds the previews that one browser can hold.
const maxCookies = 8

// Preview is a link with the state of its year.
type Preview struct {
	sharelink.Link
	// Token is the link's secret: for the URLs that take it.
	Token string
	// IsPublished is set once the year answers everyone.
	IsPublished bool
	// Cookie names the preview for Leave. It is no secret.
	Cookie string
}

// Lookup returns the preview of a token: idp.ErrNotFound if the token opens nothing, and
// the error of the year if that is over or closed.
func (g *Gate) Lookup(ctx context.Context, token string) (*Preview, error) {
	l, err := g.Links.Check(ctx, sharelink.Preview, token)
	if err != nil {
		return nil, err
	}
	p := &Preview{Link: *l, Token: token, Cookie: hashCookieID(l.SP, l.Year)}
	return p, g.checkYear(p)
}

func (g *Gate) checkYear(p *Preview) error {
	entry, hidden, err := g.lookupYear(p.Year)
	if err == nil && entry.Key == nil {
		return idp.ErrNotFound
	}
	p.IsPublished = !hidden
	return err
}

// ListPreviews returns the previews that the browser has entered, in the order in which they end.
func (g *Gate) ListPreviews(r *http.Request) ([]Preview, error) {
	all, err := g.readCookies(r)
	answering := all[:0]
	for _, p := range all {
		if g.checkYear(&p) == nil { // otherwise the year is over, and the preview opens nothing
			answering = append(answering, p)
		}
	}
	return answering, err
}

// readCookies returns the previews whose links the browser brings, regardless of the state of their
// years.
func (g *Gate) readCookies(r *http.Request) ([]Preview, error) {
	if !isNavigation(r) {
		return nil, nil
	}
	var all []Preview
	prefix, tried := g.formatCookieName(""), 0
	for _, c := range r.Cookies() {
		id, ours := strings.CutPrefix(c.Name, prefix)
		if !ours || tried == 4*maxCookies { // a client that sends more made them up
			continue
		}
		tried++
		l, err := g.Links.Check(r.Context(), sharelink.Preview, c.Value)
		if errors.Is(err, idp.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if id == hashCookieID(l.SP, l.Year) {
			all = append(all, Preview{Link: *l, Token: c.Value, Cookie: id})
		}
	}
	slices.SortStableFunc(all, func(a, b Preview) int { return a.ExpiresAt.Compare(b.ExpiresAt) })
	return all, nil
}

// Enter puts the browser into a preview that Lookup found. If the browser is in too many, it leaves
// the one that ends first.
func (g *Gate) Enter(w http.ResponseWriter, r *http.Request, p *Preview) error {
	if r.Method != http.MethodGet || !isNavigation(r) {
		return nil // a HEAD, or a page of another site that embeds the link
	}
	inside, err := g.readCookies(r)
	if err != nil {
		return err
	}
	inside = slices.DeleteFunc(inside, func(i Preview) bool { return i.Cookie == p.Cookie })
	for ; len(inside) >= maxCookies; inside = inside[1:] {
		g.Leave(w, inside[0].Cookie)
	}
	c := g.newCookie(p.Cookie, p.Token)
	if !p.ExpiresAt.IsZero() {
		c.MaxAge = max(1, int(p.ExpiresAt.Sub(g.Clock.Now())/time.Second))
	}
	http.SetCookie(w, c)
	g.Pages.RecordPreview(r, audit.PreviewOpened, p.SP, p.Year, p.ID)
	return nil
}

var cookieIDForm = regexp.MustCompile(`^[0-9a-f]{16}$`)

// Leave takes the browser out of a preview, by its Preview.Cookie.
func (g *Gate) Leave(w http.ResponseWriter, id string) {
	if !cookieIDForm.MatchString(id) {
		return
	}
	c := g.newCookie(id, "")
	c.MaxAge = -1
	http.SetCookie(w, c)
}

// newCookie returns a cookie that is SameSite=None if it can be: see the package comment.
func (g *Gate) newCookie(id, value string) *http.Cookie {
	c := &http.Cookie{
		Name: g.formatCookieName(id), Value: value, Path: "/",
		Secure: g.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if g.Secure {
		c.SameSite = http.SameSiteNoneMode
	}
	return c
}

// isNavigation reports whether the browser loads the URL as a page. It is false for an image, a
// script or a frame of another page. A browser that sends no Sec-Fetch-Dest (Firefox before 90,
// Safari before 16.4) counts as navigating. Those versions of Safari send no cookies for such
// loads.
func isNavigation(r *http.Request) bool {
	dest := r.Header.Get("Sec-Fetch-Dest")
	return dest == "" || dest == "document"
}

func (g *Gate) formatCookieName(id string) string {
	if g.Secure {
		return "__Host-vernal-preview-" + id
	}
	return "vernal-preview-" + id
}

// hashCookieID names the cookie of a pair of SP and year.
func hashCookieID(sp idp.EntityID, y idp.Year) string {
	sum := sha256.Sum256([]byte(string(y) + "\x00" + string(sp)))
	return hex.EncodeToString(sum[:8])
}
