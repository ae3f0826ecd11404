package web

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"

	"vernal/idp"
	"vernal/idp/rotation"
	"vernal/metadata"
	"vernal/templates"
)

// endpointPath matches the path of an endpoint with anything in place of its year, or without
// a year: the forms that users and their software get wrong. Other paths are not ours.
var endpointPath = regexp.MustCompile(`^/api/saml/(auth|logout|remotelogout|metadata|certificate)(?:[-_/]?(?:[0-9][0-9A-Za-z]{0,15}|\{year\}|YEAR))?(?:\.pem|\.xml)?/?$`)

// endpointURLs are the URLs of the endpoints by year.
var endpointURLs = map[string]func(metadata.IdP, idp.Year) string{
	"auth": metadata.IdP.AuthnURL, "logout": metadata.IdP.LogoutURL, "remotelogout": metadata.IdP.RemoteLogoutURL,
	"metadata": metadata.IdP.MetadataURL, "certificate": metadata.IdP.CertificateURL,
}

// newNoYearPage returns the page for an endpoint URL without an existing year; false for any
// other URL. It depends only on the path and the live years, so that an unpublished year
// looks, and costs, like one that was never created.
func (p *Pages) newNoYearPage(r *http.Request, base templates.Base) (templates.NoYearPage, bool) {
	if p.Years == nil {
		return templates.NoYearPage{}, false
	}
	endpoint := endpointPath.FindStringSubmatch(r.URL.Path)
	if endpoint == nil {
		return templates.NoYearPage{}, false
	}
	// Leave out the query, which belongs to a message.
	base.Languages = p.Languages(r.URL.EscapedPath())
	page := templates.NoYearPage{Base: base, Path: r.URL.Path, ServesFile: endpoint[1] == "metadata" || endpoint[1] == "certificate"}
	now := EventOf(r).startedAt
	for _, e := range p.Years.Live(now) {
		preferred := e.State == rotation.Preferred
		if preferred {
			page.Preferred = e.Year()
		}
		page.Years = append(page.Years, templates.YearURL{
			Year: e.Year(), IsPreferred: preferred, URL: endpointURLs[endpoint[1]](metadata.IdP{BaseURL: p.BaseURL}, e.Year()),
		})
	}
	slices.SortFunc(page.Years, func(a, b templates.YearURL) int { return cmp.Compare(b.Year, a.Year) })
	if t, ok := p.Years.Target(now); ok && t.State.IsLive() && !t.IsClosed() && t.Year() != page.Preferred {
		page.Target = t.Year()
	}
	return page, true
}

// isHiddenYear reports whether the path names a year that is neither live nor over.
func (p *Pages) isHiddenYear(r *http.Request) bool {
	y := Year(r)
	if y == "" || p.Years == nil {
		return false
	}
	e, ok := p.Years.Lookup(y, EventOf(r).startedAt)
	return !ok || !e.State.IsLive() && !e.State.IsOver()
}
