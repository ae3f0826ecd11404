package saml

import (
	"fmt"
	"time"

	"vernal/idp/xmltree"
)

// writeUnsignedAssertion writes the assertion in the default namespace and returns the position of its
// signature. Two details are for old software: it has no Address, because proxies change it,
// and AttributeStatement precedes AuthnStatement, as in the reference.
func (r *Response) writeUnsignedAssertion(w *xmltree.Writer, a *Assertion) (at int) {
	var b [len(TimeFormat)]byte
	w.Start("", NamespaceAssertion, "Assertion",
		newAttr("ID", a.ID),
		newAttr("IssueInstant", string(appendTime(b[:0], r.IssueInstant))),
		newAttr("Version", Version))
	w.Element("", NamespaceAssertion, "Issuer", r.Issuer)
	at = w.Len()
	r.writeSubject(w, a)
	r.writeConditions(w, a)
	writeAttributes(w, a.Attributes)
	a.writeAuthnStatement(w)
	w.End()
	return at
}

// writeSubject names the user and states where, how long and in answer to which request the
// assertion may be presented (saml-profiles §4.1.4.2).
func (r *Response) writeSubject(w *xmltree.Writer, a *Assertion) {
	var b [len(TimeFormat)]byte
	w.Start("", NamespaceAssertion, "Subject")
	w.Element("", NamespaceAssertion, "NameID", a.NameID, newAttr("Format", a.NameIDFormat))
	w.Start("", NamespaceAssertion, "SubjectConfirmation", newAttr("Method", methodBearer))
	w.Element("", NamespaceAssertion, "SubjectConfirmationData", "",
		newAttr("InResponseTo", r.InResponseTo),
		newAttr("NotOnOrAfter", string(appendTime(b[:0], r.IssueInstant.Add(ConfirmationLifetime)))),
		newAttr("Recipient", r.Destination))
	w.End()
	w.End()
}

func (r *Response) writeConditions(w *xmltree.Writer, a *Assertion) {
	var from, to [len(TimeFormat)]byte
	w.Start("", NamespaceAssertion, "Conditions",
		newAttr("NotBefore", string(appendTime(from[:0], r.IssueInstant.Add(-ConditionsSkew)))),
		newAttr("NotOnOrAfter", string(appendTime(to[:0], r.IssueInstant.Add(ConditionsLifetime)))))
	w.Start("", NamespaceAssertion, "AudienceRestriction")
	w.Element("", NamespaceAssertion, "Audience", a.Audience)
	w.End()
	w.End()
}

// writeAttributes writes the statement, which must not be empty (saml-core §2.7.3). Values
// have no xsi:type, because its namespace would not be visibly used in canonicalization.
func writeAttributes(w *xmltree.Writer, attrs []Attribute) {
	if len(attrs) == 0 {
		return
	}
	w.Start("", NamespaceAssertion, "AttributeStatement")
	for i := range attrs {
		a := &attrs[i]
		named := [3]xmltree.Attr{newAttr("Name", a.Name), newAttr("NameFormat", a.NameFormat), newAttr("FriendlyName", a.FriendlyName)}
		if a.FriendlyName == "" {
			w.Start("", NamespaceAssertion, "Attribute", named[:2]...)
		} else {
			w.Start("", NamespaceAssertion, "Attribute", named[:]...)
		}
		for _, v := range a.Values {
			w.Element("", NamespaceAssertion, "AttributeValue", v)
		}
		w.End()
	}
	w.End()
}

func (a *Assertion) writeAuthnStatement(w *xmltree.Writer) {
	var b [len(TimeFormat)]byte
	w.Start("", NamespaceAssertion, "AuthnStatement",
		newAttr("AuthnInstant", string(appendTime(b[:0], a.AuthnInstant))),
		newAttr("SessionIndex", a.SessionIndex))
	w.Start("", NamespaceAssertion, "AuthnContext")
	w.Element("", NamespaceAssertion, "AuthnContextClassRef", a.ClassRef)
	w.End()
	w.End()
}

// checkFields returns an error if a field of the envelope is missing.
func (r *Response) checkFields() error {
	if err := requireFields("Response",
		"ID", r.ID, "Issuer", r.Issuer, "Destination", r.Destination, "InResponseTo", r.InResponseTo); err != nil {
		return err
	}
	return checkTime("IssueInstant", r.IssueInstant)
}

// checkFields returns an error if a field of the assertion is missing. An assertion with an
// empty Audience or NameID would be valid for many providers or users.
func (a *Assertion) checkFields() error {
	if err := requireFields("Assertion",
		"ID", a.ID, "Audience", a.Audience, "NameID", a.NameID, "NameIDFormat", a.NameIDFormat,
		"SessionIndex", a.SessionIndex, "ClassRef", a.ClassRef); err != nil {
		return err
	}
	for i := range a.Attributes {
		if a.Attributes[i].Name == "" || a.Attributes[i].NameFormat == "" {
			return fmt.Errorf("write Assertion: attribute %d has no Name or no NameFormat", i)
		}
	}
	return checkTime("AuthnInstant", a.AuthnInstant)
}

// requireFields takes names and values in turn.
func requireFields(what string, fields ...string) error {
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1] == "" {
			return fmt.Errorf("write %s: no %s", what, fields[i])
		}
	}
	return nil
}

// checkTime refuses a time that was not set, or whose year is not within 1970 and 9990.
func checkTime(field string, t time.Time) error {
	if year := t.UTC().Year(); t.IsZero() || year < 1970 || year > 9990 {
		return fmt.Errorf("write Response: %s is %s", field, t)
	}
	return nil
}

func appendTime(b []byte, t time.Time) []byte { return t.UTC().AppendFormat(b, TimeFormat) }

func newAttr(name, value string) xmltree.Attr { return xmltree.Attr{Local: name, Value: value} }
