package inbound

import (
	"crypto"

	"vernal/idp"
	"vernal/idp/saml"
)

// OpenName decrypts the name in the message with our key, if it is encrypted. It may be called only
// after the signature was verified, because decryption for an attacker would disclose the names
// that others sent. Every failure is the same refusal.
func (q *Request) OpenName(key crypto.Signer) error {
	var name *saml.Subject
	if q.Authn != nil {
		name = q.Authn.Subject
	} else {
		name = &q.Logout.Subject
	}
	if name == nil {
		return nil
	}
	if name.IsEncrypted() && q.Cert == nil {
		return idp.Refuse(idp.RefusedEncryptedID, "EncryptedID", "")
	}
	return name.Open(key)
}

// CheckSubject refuses a Subject that no Response to the request could be about. Its name must be
// decrypted. ourID is our entity ID.
func (q *Request) CheckSubject(ourID idp.EntityID) error {
	if q.Authn.Subject == nil {
		return nil
	}
	return q.Provider.CheckSubject(q.Authn.Subject.NameID, q.NameIDFormat, ourID)
}
