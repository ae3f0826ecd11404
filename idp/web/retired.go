package web

import (
	"crypto/sha256"

	"vernal/certs"
	"vernal/idp"
	"vernal/metadata"
	"vernal/templates"
)

// newRetiredPage lists the values that the administrator of a service provider configured by hand
// must change. All of it is public, because our metadata contains it.
func (p *Pages) newRetiredPage(base templates.Base, f failure) templates.RetiredPage {
	g, us := f.goneYear, metadata.IdP{BaseURL: p.BaseURL}
	page := templates.RetiredPage{
		Base: base, Year: g.Year, NewYear: g.Successor, IsRevoked: g.Revoked, EndedAt: g.EndedAt,
		EntityID: string(us.EntityID()), ErrorID: f.errorID, StartURL: f.StartURL,
		SignOutAction: g.SignOut,
	}
	if g.Successor == "" {
		return page
	}
	add := func(what templates.Key, urlOf func(idp.Year) string, load bool) {
		page.Changes = append(page.Changes, templates.Change{Text: what, Old: urlOf(g.Year), New: urlOf(g.Successor), ServesFile: load})
	}
	add(templates.ChangeMetadata, us.MetadataURL, true)
	add(templates.ChangeAuth, us.AuthnURL, false)
	add(templates.ChangeLogout, us.LogoutURL, false)
	add(templates.ChangeRemoteLogout, us.RemoteLogoutURL, false)
	add(templates.ChangeCertificate, us.CertificateURL, true)
	if g.Cert != nil {
		sum := sha256.Sum256(g.Cert.Raw)
		page.Fingerprint = certs.FormatFingerprint(sum[:])
	}
	return page
}
