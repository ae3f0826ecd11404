package saml

import (
	"crypto"

	"vernal/idp"
	"vernal/idp/xmltree"
)

// Subject is the user whom an AuthnRequest asks for: the Response is about that user,
// or there is none with an assertion (saml-core §3.4.1).
type Subject struct {
	// NameID is nil while it is encrypted.
	NameID *NameID

	root, subject, encrypted *xmltree.Element
}

// readSubject reads a Subject. One without a name, which holds only ways to confirm a
// subject, asks for no one: nil. Of those ways nothing is read, because a Response by
// HTTP-POST has one that is fixed.
func readSubject(root, e *xmltree.Element) (*Subject, error) {
	if e == nil {
		return nil, nil
	}
	if err := checkShape(e); err != nil {
		return nil, err
	}
	var s *Subject
	for c := range e.Elements() {
		switch {
		case c.Is(NamespaceAssertion, "SubjectConfirmation"):
			continue
		case s != nil, !c.Is(NamespaceAssertion, "NameID") && !c.Is(NamespaceAssertion, "EncryptedID"):
			return nil, idp.Refuse(idp.RefusedSubjectForm, "Subject", c.Local) // BaseID too: an abstract type
		}
		s = &Subject{root: root, subject: e, encrypted: c}
		if c.Local == "NameID" {
			s.encrypted = nil
			var err error
			if s.NameID, err = readNameID(c); err != nil {
				return nil, idp.Refuse(idp.RefusedSubjectForm, "Subject NameID", "").With(err)
			}
		}
	}
	return s, nil
}

// IsEncrypted reports whether the name is encrypted, so that Open is due.
func (s *Subject) IsEncrypted() bool { return s.NameID == nil }

// Open decrypts the name with our key, if it is encrypted. As of a LogoutRequest, only
// that of a verified request may be opened, and the error does not disclose what went wrong.
func (s *Subject) Open(key crypto.Signer) (err error) {
	if s.IsEncrypted() {
		s.NameID, err = openNameID(key, s.encrypted, s.root, s.subject, s.encrypted)
	}
	return err
}
