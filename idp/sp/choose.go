package sp

import (
	"crypto/x509"
	"time"

	"vernal/idp"
	"vernal/idp/partnercert"
	"vernal/idp/saml"
)

// ChooseNameIDFormat returns the format of the NameID: the email address for a provider that
// may have it, unless it asks for a persistent one. A request for an email address without
// permission is refused. Everything else is persistent, because old software asks for formats
// that it does not need. policy may be nil. The error is an *idp.Refusal.
func (p *Provider) ChooseNameIDFormat(policy *saml.NameIDPolicy) (string, error) {
	format := ""
	if policy != nil {
		format = policy.Format
	}
	canUseEmail := p.AllowsNameIDFormat(idp.NameIDFormatEmail)
	switch {
	case format == saml.NameIDFormatPersistent:
		return saml.NameIDFormatPersistent, nil
	case format == saml.NameIDFormatEmail && !canUseEmail:
		return "", idp.Refuse(idp.RefusedNameIDFormat, "NameIDPolicy Format", format, saml.NameIDFormatPersistent)
	case canUseEmail:
		return saml.NameIDFormatEmail, nil
	}
	return saml.NameIDFormatPersistent, nil
}

// CheckSubject refuses a Subject that does not match any Response with a NameID of the format:
// the NameID of a Response must be the requested one (saml-core §3.3.4). A format that is
// absent or unspecified matches every format. ourID is our entity ID. The error is an *idp.Refusal, which
// does not quote the NameID.
func (p *Provider) CheckSubject(id *saml.NameID, format string, ourID idp.EntityID) error {
	field, seen := "", ""
	switch {
	case id.Format != "" && id.Format != saml.NameIDFormatUnspecified && id.Format != format:
		field, seen = "Format", id.Format
	case id.NameQualifier != "" && id.NameQualifier != string(ourID):
		field, seen = "NameQualifier", id.NameQualifier
	case id.SPNameQualifier != "" && id.SPNameQualifier != string(p.EntityID):
		field, seen = "SPNameQualifier", id.SPNameQualifier
	default:
		return nil
	}
	return idp.Refuse(idp.RefusedSubjectForm, "Subject NameID "+field, seen)
}

// ChooseRecipient returns the certificate that an assertion is encrypted to at a time: the
// registered encryption certificate to use then, otherwise requestCert, which verified the request
// (nil if unsigned), otherwise the only request certificate. nil means no encryption. The
// error is an *idp.Refusal.
func (p *Provider) ChooseRecipient(requestCert *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	switch {
	case p.Encryption == idp.EncryptionNone || p.Encryption == "":
		return nil, nil
	case len(p.EncryptionX509) > 0:
		return partnercert.Choose(p.EncryptionX509, now), nil
	case requestCert != nil:
		return requestCert, nil
	case len(p.RequestCerts) == 1:
		return p.RequestCerts[0], nil
	}
	return nil, idp.Refuse(idp.RefusedNoCertificate, "encryption", p.Encryption)
}
