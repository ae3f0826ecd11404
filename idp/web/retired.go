package web

import (
	"crypto/sha256"

	"vernal/certs"
	"vernal/idp"
	"vernal/metadata"
	"vernal/templates"
)

// newRetiredPage lists the values that the administrator of a service provider configured by hand
// must change. All of them are public, because our metadata contains them.
func (p *Pages) newRetiredPage(base templates.Base, f failure) templates.RetiredPage {
	g, ownIdP := f.goneYear, metadata.IdP{BaseURL: p.BaseURL}
	page := templates.RetiredPage{
		Base: base, Year: g.Year, NewYear: g.Successor, IsRevoked: g.Revoked, EndedAt: g.EndedAt,
		EntityID: string(ownIdP.EntityID()), ErrorID: f.errorID, StartURL: f.StartURL,
		SignOutAction: g.SignOut,
	}
	if g.Successor == "" {
		return page
	}
	add := func(label templates.Key, urlOf func(idp.Year) string, servesFile bool) {
		page.Changes = append(page.Changes, templates.Change{Text: label, Old: urlOf(g.Year), New: urlOf(g.Successor), ServesFile: servesFile})
	}
	add(templates.ChangeMetadata, ownIdP.MetadataURL, true)
	add(templates.ChangeAuth, ownIdP.AuthnURL, false)
	add(templates.ChangeLogout, ownIdP.LogoutURL, false)
	add(templates.ChangeRemoteLogout, ownIdP.RemoteLogoutURL, false)
	add(templates.ChangeCertificate, ownIdP.CertificateURL, true)
	if g.Cert != nil {
		sum := sha256.Sum256(g.Cert.Raw)
		page.Fingerprint = certs.FormatFingerprint(sum[:])
	}
	return page
}
