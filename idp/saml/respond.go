package saml

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"vernal/idp/xmldsig"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

// Response holds the values that the envelope and its assertion have in common, so that the
// two cannot differ. All fields are required.
type Response struct {
	ID           string // an NCName, never used before
	IssueInstant time.Time
	// Issuer is the entity ID of the identity provider.
	Issuer string
	// Destination is the Assertion Consumer Service URL that the Response is posted to. The
	// assertion names it as Recipient.
	Destination string
	// InResponseTo is the ID of the AuthnRequest. We send no unsolicited Responses.
	InResponseTo string
}

// Assertion holds the values about one user that are disclosed to one service provider. All
// fields except Attributes are required.
type Assertion struct {
	ID string // an NCName, never used before
	// Audience is the entity ID of the service provider.
	Audience     string
	NameID       string
	NameIDFormat string // one of the NameIDFormat constants
	SessionIndex string
	// AuthnInstant is when the user authenticated.
	AuthnInstant time.Time
	// ClassRef is the AuthnContextClassRef.
	ClassRef   string
	Attributes []Attribute
}

// Attribute is one attribute of a user. Without Values it is sent as an empty element:
// requested and permitted, but unknown.
type Attribute struct {
	Name, NameFormat, FriendlyName string
	Values                         []string
}

// Protection selects how a successful Response is protected.
type Protection struct {
	// Signer always signs the assertion.
	Signer *xmldsig.Signer
	// Encrypter encrypts the signed assertion. If nil, it is sent in the clear.
	Encrypter *xmlenc.Encrypter
	// SignResponse also signs the Response, as it is sent.
	SignResponse bool
}

// Status is the outcome in a Response without an assertion.
type Status struct {
	Code    string // top level: StatusRequester or StatusResponder
	Detail  string // second level; may be empty
	Message string // for users; may be empty
}

// WriteSuccess appends a samlp:Response with the assertion to dst, which may be nil, and
// returns the longer slice with the exact bytes to send. It costs one operation with the
// private key, or two with SignResponse. The error names a field that is missing or cannot be
// sent.
func (r *Response) WriteSuccess(dst []byte, a *Assertion, p Protection) ([]byte, error) {
	if err := r.checkFields(); err != nil {
		return nil, err
	}
	if err := a.checkFields(); err != nil {
		return nil, err
	}
	if a.ID == r.ID {
		return nil, errors.New("write Response: it and its Assertion have the same ID")
	}
	start := len(dst)
	w := xmltree.NewWriter(dst)
	at := r.openTag(w, "Response")
	writeStatus(w, Status{Code: StatusSuccess})
	write := r.writeAssertion
	if p.Encrypter != nil {
		write = r.writeEncryptedAssertion
	}
	if err := write(w, a, p); err != nil {
		return nil, err
	}
	if !p.SignResponse {
		p.Signer = nil // it has signed the assertion
	}
	return r.closeTag(w, "Response", start, at, p.Signer)
}

// WriteStatus appends a samlp:Response that reports a failure to dst. The Response itself is
// signed, because no assertion carries a signature.
func (r *Response) WriteStatus(dst []byte, st Status, s *xmldsig.Signer) ([]byte, error) {
	if err := r.checkFields(); err != nil {
		return nil, err
	}
	if st.Code != StatusRequester && st.Code != StatusResponder {
		return nil, fmt.Errorf("write Response: top-level status code is %q", st.Code)
	}
	return r.writeStatus(dst, "Response", st, s)
}

// writeStatus appends a message with only a Status, signed if s is not nil.
func (r *Response) writeStatus(dst []byte, name string, st Status, s *xmldsig.Signer) ([]byte, error) {
	start := len(dst)
	w := xmltree.NewWriter(dst)
	at := r.openTag(w, name)
	writeStatus(w, st)
	return r.closeTag(w, name, start, at, s)
}

// closeTag ends the message that begins at start and signs it, if s is not nil.
func (r *Response) closeTag(w *xmltree.Writer, name string, start, at int, s *xmldsig.Signer) ([]byte, error) {
	w.End()
	buf, err := w.Finish()
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	if s == nil {
		return buf, nil
	}
	return s.SignFrom(buf, start, r.ID, at)
}

// openTag writes the start tag and the Issuer, and returns the position of the signature. It
// leaves out empty attributes.
func (r *Response) openTag(w *xmltree.Writer, name string) (at int) {
	var b [len(TimeFormat)]byte
	consent := ""
	if name == "Response" {
		consent = consentUnspecified
	}
	attrs := [...]xmltree.Attr{
		newAttr("Consent", consent),
		newAttr("Destination", r.Destination),
		newAttr("ID", r.ID),
		newAttr("InResponseTo", r.InResponseTo),
		newAttr("IssueInstant", string(appendTime(b[:0], r.IssueInstant))),
		newAttr("Version", Version),
	}
	w.Start("samlp", NamespaceProtocol, name, slices.DeleteFunc(attrs[:], func(a xmltree.Attr) bool { return a.Value == "" })...)
	w.Element("", NamespaceAssertion, "Issuer", r.Issuer)
	return w.Len()
}

func writeStatus(w *xmltree.Writer, st Status) {
	w.Start("samlp", NamespaceProtocol, "Status")
	w.Start("samlp", NamespaceProtocol, "StatusCode", newAttr("Value", st.Code))
	if st.Detail != "" {
		w.Element("samlp", NamespaceProtocol, "StatusCode", "", newAttr("Value", st.Detail))
	}
	w.End()
	if st.Message != "" {
		w.Element("samlp", NamespaceProtocol, "StatusMessage", st.Message)
	}
	w.End()
}

// writeAssertion writes the signed assertion.
func (r *Response) writeAssertion(w *xmltree.Writer, a *Assertion, p Protection) error {
	start := w.Len()
	at := r.writeUnsignedAssertion(w, a)
	buf, err := w.Bytes()
	if err != nil {
		return fmt.Errorf("write Assertion: %w", err)
	}
	if buf, err = p.Signer.SignFrom(buf, start, a.ID, at); err != nil {
		return err
	}
	w.Resume(buf)
	return nil
}

// writeEncryptedAssertion writes the assertion, signed and then encrypted. It is written as a separate
// document, so that it declares its own namespaces.
func (r *Response) writeEncryptedAssertion(w *xmltree.Writer, a *Assertion, p Protection) error {
	plain := xmltree.NewWriter(make([]byte, 0, 6<<10))
	if err := r.writeAssertion(plain, a, p); err != nil {
		return err
	}
	buf, err := plain.Finish()
	if err != nil {
		return fmt.Errorf("write Assertion: %w", err)
	}
	w.Start("", NamespaceAssertion, "EncryptedAssertion")
	if err := p.Encrypter.Write(w, buf); err != nil {
		return fmt.Errorf("encrypt Assertion: %w", err)
	}
	w.End()
	return nil
}
