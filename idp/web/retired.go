package web

import (
	"crypto/sha256"
	"strings"

	"vernal/certs"
	"vernal/idp"
	"vernal/templates"
)

// retiredPage says what whoever set up a service provider by hand has to change.
// All of it is public: it stands in our metadata.
func (p *Pages) retiredPage(base templates.Base, f failure) templates.RetiredPage {
	g := f.gone
	page := templates.RetiredPage{
		Base: base, Year: g.Year, NewYear: g.Successor, Revoked: g.Revoked, EndedAt: g.EndedAt,
		EntityID: p.BaseURL + "/api/saml", ErrorID: f.errorID, StartURL: f.startURL,
		SignOutAction: g.SignOut,
	}
	if g.Successor == "" {
		return page
	}
	address := func(name string, y idp.Year) string {
		return p.BaseURL + "/api/saml/" + strings.Replace(name, "{year}", string(y), 1)
	}
	for _, c := range []struct {
		what templates.Key
		name string
		load bool
	}{
		{templates.ChangeMetadata, "metadata{year}", true},
		{templates.ChangeAuth, "auth{year}", false},
		{templates.ChangeLogout, "logout{year}", false},
		{templates.ChangeRemoteLogout, "remotelogout{year}", false},
		{templates.ChangeCertificate, "certificate{year}.pem", true},
	} {
		page.Changes = append(page.Changes, templates.Change{
			What: c.what, Old: address(c.name, g.Year), New: address(c.name, g.Successor), Load: c.load,
		})
	}
	if g.Cert != nil {
		sum := sha256.Sum256(g.Cert.Raw)
		page.Fingerprint = certs.Colons(sum[:])
	}
	return page
}
