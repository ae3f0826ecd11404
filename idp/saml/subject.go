package saml

import (
	"crypto"
	"errors"

	"vernal/idp"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

// Subject is the user that a request names. The answer to an AuthnRequest is about that user,
// or it has no assertion (saml-core §3.4.1).
type Subject struct {
	// NameID is nil while it is encrypted.
	NameID *NameID

	// ancestors are the elements around an encrypted name, from the root of the message to the
	// EncryptedID.
	ancestors []*xmltree.Element
}

// readSubject reads a Subject. One without a name, with SubjectConfirmations only, names no
// user and returns nil. The confirmations are ignored, because a Response by HTTP-POST has a
// fixed one.
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
			return nil, idp.Refuse(idp.RefusedSubjectForm, "Subject", c.Local) // also BaseID, an abstract type
		}
		s = &Subject{}
		if err := s.readName(c, root, e); err != nil {
			seen := ""
			if name, ok := errors.AsType[*idp.Refusal](err); ok {
				seen = name.Seen
			}
			return nil, idp.Refuse(idp.RefusedSubjectForm, "Subject NameID", seen).WithCause(err)
		}
	}
	return s, nil
}

// readName reads a NameID, or keeps an EncryptedID for Open. around are the elements around
// it, beginning with the root of the message.
func (s *Subject) readName(e *xmltree.Element, around ...*xmltree.Element) (err error) {
	if e.Local == "NameID" {
		s.NameID, err = readNameID(e)
	} else {
		s.ancestors = append(around, e)
	}
	return err
}

// IsEncrypted reports whether the name is encrypted and Open must be called.
func (s *Subject) IsEncrypted() bool { return s.NameID == nil && s.ancestors != nil }

// Open decrypts the name with our key (saml-core §2.2.4), if it is encrypted. Only a verified
// request may be opened, because decrypting for an attacker discloses the data of other senders. A
// key that cannot decrypt, for example in a token, is refused like a key that fails to. The error
// is a *idp.Refusal that does not disclose the cause.
func (s *Subject) Open(key crypto.Signer) error {
	if !s.IsEncrypted() {
		return nil
	}
	refused := idp.Refuse(idp.RefusedEncryptedID, "EncryptedID", "")
	d, ok := key.(crypto.Decrypter)
	if !ok {
		return refused.WithCause(errors.New("our key cannot decrypt"))
	}
	plain, err := xmlenc.Decrypt(s.ancestors[len(s.ancestors)-1], d)
	if err != nil {
		return refused.WithCause(err)
	}
	// The name may use namespaces that are declared around it: python3-saml encrypts it
	// without declarations of its own.
	e, err := xmltree.ParseWithin(plain, xmltree.MessageLimits(), s.ancestors...)
	if err != nil {
		return refused.WithCause(err)
	}
	if !e.Is(NamespaceAssertion, "NameID") {
		return refused
	}
	if s.NameID, err = readNameID(e); err != nil {
		return refused.WithCause(err)
	}
	return nil
}
