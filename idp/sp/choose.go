package sp

import (
	"crypto/x509"
	"time"

	"vernal/idp"
	"vernal/idp/partnercert"
	"vernal/idp/saml"
)

// ChooseNameIDFormat chooses the format of the NameID: the address for a
// provider that may have it, unless it asks for a persistent one; an address
// that is asked for without leave is refused; all else is persistent, as old
// software asks for formats it does not mean. policy may be nil. The error is an
// *idp.Refusal.
func (p *Provider) ChooseNameIDFormat(policy *saml.NameIDPolicy) (string, error) {
	asked := ""
	if policy != nil {
		asked = policy.Format
	}
	allowed := p.AllowsNameIDFormat(idp.NameIDFormatEmail)
	switch {
	case asked == saml.NameIDFormatPersistent:
		return saml.NameIDFormatPersistent, nil
	case asked == saml.NameIDFormatEmail && !allowed:
		return "", idp.Refuse(idp.RefusedNameIDFormat, "NameIDPolicy Format", asked, saml.NameIDFormatPersistent)
	case allowed:
		return saml.NameIDFormatEmail, nil
	}
	return saml.NameIDFormatPersistent, nil
}

// CheckSubject refuses a Subject that no Response with a NameID of the format could be
// about: the NameID of a Response must be the one asked for (saml-core §3.3.4). A
// format that is absent or unspecified fits either. us is our entity ID. The error is
// an *idp.Refusal, which does not quote the name.
func (p *Provider) CheckSubject(id *saml.NameID, format string, us idp.EntityID) error {
	field, seen := "", ""
	switch {
	case id.Format != "" && id.Format != saml.NameIDFormatUnspecified && id.Format != format:
		field, seen = "Format", id.Format
	case id.NameQualifier != "" && id.NameQualifier != string(us):
		field, seen = "NameQualifier", id.NameQualifier
	case id.SPNameQualifier != "" && id.SPNameQualifier != string(p.EntityID):
		field, seen = "SPNameQualifier", id.SPNameQualifier
	default:
		return nil
	}
	return idp.Refuse(idp.RefusedSubjectForm, "Subject NameID "+field, seen)
}

// Recipient is the certificate that an assertion is encrypted to at a time: of
// the registered encryption certificates the one to use then, else the one that
// verified the request (nil if none did), else the only request certificate. nil:
// it is sent in the clear. The error is an *idp.Refusal.
func (p *Provider) Recipient(verified *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	switch {
	case p.Encryption == idp.EncryptionNone || p.Encryption == "":
		return nil, nil
	case len(p.EncryptionX509) > 0:
		return partnercert.Choose(p.EncryptionX509, now), nil
	case verified != nil:
		return verified, nil
	case len(p.RequestCerts) == 1:
		return p.RequestCerts[0], nil
	}
	return nil, idp.Refuse(idp.RefusedNoCertificate, "encryption", p.Encryption)
}
