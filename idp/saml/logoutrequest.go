package saml

import (
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// LogoutRequest asks us to end a user's sessions (saml-core §3.7.1). A forged one ends other
// users' sessions, so it is read only from an element that a signature covers.
//
// Extensions are ignored. Known parts must have the form that the schema prescribes and occur
// at most once, except for SessionIndex, in any order.
type LogoutRequest struct {
	Header
	// NotOnOrAfter is when the request expires, or zero if absent.
	NotOnOrAfter time.Time
	// Reason is a URI for the log, or "" if absent.
	Reason string
	// Subject is the user whose sessions end.
	Subject
	// SessionIndexes are the values that the sender was given, without duplicates. They
	// include those in the assertion namespace, as in the guide's sample.
	SessionIndexes []string
}

// NameID names a user to one service provider (saml-core §2.2.3). Absent attributes are "".
type NameID struct {
	Value, Format                  string
	NameQualifier, SPNameQualifier string
}

// Bounds on the values that are kept of a LogoutRequest.
const (
	maxNameID         = 1024
	maxSessionIndex   = 256
	maxSessionIndexes = 32
)

// ParseLogoutRequest reads the fields of a LogoutRequest from an element that Message.Verify
// returned. The error is a *idp.Refusal.
func ParseLogoutRequest(root *xmltree.Element) (*LogoutRequest, error) {
	if !root.Is(NamespaceProtocol, "LogoutRequest") {
		return nil, idp.Refuse(idp.RefusedMessageType, "SAMLRequest", root.Local, "LogoutRequest")
	}
	if err := checkShape(root); err != nil {
		return nil, err
	}
	r := &LogoutRequest{}
	if err := r.Header.readHeader(root); err != nil {
		return nil, err
	}
	if err := r.readAttributes(root); err != nil {
		return nil, err
	}
	if err := r.readChildren(root); err != nil {
		return nil, err
	}
	if r.NameID == nil && !r.IsEncrypted() {
		return nil, idp.Refuse(idp.RefusedNameID, "NameID", "")
	}
	return r, nil
}

func (r *LogoutRequest) readAttributes(root *xmltree.Element) (err error) {
	if v, ok := root.Attr("NotOnOrAfter"); ok {
		if r.NotOnOrAfter, ok = parseInstant(v); !ok {
			return idp.Refuse(idp.RefusedNotOnOrAfter, "NotOnOrAfter", v)
		}
	}
	r.Reason, err = readURI(root, "Reason")
	return err
}

// readChildren reads the child elements. It refuses a second name of a user, in any form, because
// readers differ in which one counts.
func (r *LogoutRequest) readChildren(root *xmltree.Element) error {
	seen := map[string]bool{}
	var indexSpace string
	for c := range root.Elements() {
		name := c.Local
		switch {
		case c.Is(NamespaceProtocol, "SessionIndex"), c.Is(NamespaceAssertion, "SessionIndex"):
			if indexSpace != "" && indexSpace != c.Space {
				return idp.Refuse(idp.RefusedSessionIndex, "SessionIndex", trimSpace(c.Text()))
			}
			indexSpace = c.Space
			if err := r.addSessionIndex(c); err != nil {
				return err
			}
			continue
		case c.Is(NamespaceAssertion, "NameID"), c.Is(NamespaceAssertion, "EncryptedID"):
			if seen["NameID"] {
				return idp.Refuse(idp.RefusedNameID, "NameID", c.Local)
			}
			name = "NameID"
			if err := r.readName(c, root); err != nil {
				return err
			}
		case c.Is(NamespaceAssertion, "Issuer"), c.Is(NamespaceProtocol, "Extensions"), c.Is(xmldsig.Namespace, "Signature"):
		default: // also BaseID, an abstract type that no software sends
			return refuseChild("LogoutRequest", c, false)
		}
		if seen[name] {
			return refuseChild("LogoutRequest", c, true)
		}
		seen[name] = true
	}
	return nil
}

func readNameID(e *xmltree.Element) (*NameID, error) {
	if err := checkAttributes(e); err != nil {
		return nil, err
	}
	for c := range e.Elements() {
		return nil, idp.Refuse(idp.RefusedNameID, "NameID", c.Local)
	}
	id := &NameID{Value: trimSpace(e.Text())}
	if id.Value == "" || len(id.Value) > maxNameID {
		return nil, idp.Refuse(idp.RefusedNameID, "NameID", id.Value)
	}
	for name, field := range map[string]*string{
		"Format": &id.Format, "NameQualifier": &id.NameQualifier, "SPNameQualifier": &id.SPNameQualifier,
	} {
		var err error
		if *field, err = readURI(e, name); err != nil {
			return nil, err
		}
	}
	return id, nil
}

func (r *LogoutRequest) addSessionIndex(e *xmltree.Element) error {
	if err := checkAttributes(e); err != nil {
		return err
	}
	for c := range e.Elements() {
		return idp.Refuse(idp.RefusedSessionIndex, "SessionIndex", c.Local)
	}
	index := trimSpace(e.Text())
	if index == "" {
		return nil // equivalent to an absent one
	}
	if len(index) > maxSessionIndex || len(r.SessionIndexes) == maxSessionIndexes {
		return idp.Refuse(idp.RefusedSessionIndex, "SessionIndex", index)
	}
	if !slices.Contains(r.SessionIndexes, index) {
		r.SessionIndexes = append(r.SessionIndexes, index)
	}
	return nil
}

// AppendFindings adds a check of NotOnOrAfter to the checks of Header.
func (r *LogoutRequest) AppendFindings(dst Findings, e Expectation) Findings {
	return append(r.Header.AppendFindings(dst, e), Finding{"NotOnOrAfter", r.checkExpiry(e.Now)})
}

func (r *LogoutRequest) checkExpiry(now time.Time) error {
	if !r.NotOnOrAfter.IsZero() && !now.Before(r.NotOnOrAfter.Add(MaxSkew)) {
		return idp.Refuse(idp.RefusedNotOnOrAfter, "NotOnOrAfter", formatTime(r.NotOnOrAfter), formatTime(now))
	}
	return nil
}
