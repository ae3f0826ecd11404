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

// Response contains the values that a Response and its assertion share, so that they cannot
// differ. All fields are required.
type Response struct {
	ID           string // an NCName that was never used
	IssueInstant time.Time
	// Issuer is the entity ID of the identity provider.
	Issuer string
	// Destination is the Assertion Consumer Service URL that the Response is posted to. The
	// assertion names it as Recipient.
	Destination string
	// InResponseTo is the ID of the AuthnRequest. We send no unsolicited Responses.
	InResponseTo string
}

// Assertion contains the values about one user that are disclosed to one service provider. All
// fields except Attributes are required.
type Assertion struct {
	ID string // an NCName that was never used
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

// Attribute is one attribute of a user. Without Values it is sent as an empty element,
// which means that the value is unknown.
type Attribute struct {
	Name, NameFormat, FriendlyName string
	Values                         []string
}

// Protection selects how a successful Response is protected.
type Protection struct {
	// Signer signs the assertion, and the Response if SignResponse is set.
	Signer *xmldsig.Signer
	// Encrypter encrypts the signed assertion. If nil, it is sent in the clear.
	Encrypter *xmlenc.Encrypter
	// SignResponse also signs the Response.
	SignResponse bool
}

// Status is the outcome in a Response without an assertion.
type Status struct {
	Code    string // top level: StatusRequester or StatusResponder
	Detail  string // second level, may be empty
	Message string // for users, may be empty
}

// WriteSuccess appends a samlp:Response with the assertion to dst, which may be nil, and
// returns the longer slice with the exact bytes to send. It costs one operation with the
// private key, or two with SignResponse. The error names a missing or invalid field.
func (r *Response) WriteSuccess(dst []byte, a *Assertion, p Protection) ([]byte, error) {
	if err := r.checkFields(); err != nil {
		return nil, err
	}
	if err := a.checkFields(); err != nil {
		return nil, err
	}
	if a.ID == r.ID {
		return nil, errors.New("write Response: the Response and its Assertion must not have the same ID")
	}
	start := len(dst)
	w := xmltree.NewWriter(dst)
	signaturePos := r.openTag(w, "Response")
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
	return r.closeTag(w, "Response", start, signaturePos, p.Signer)
}

// WriteStatus appends a samlp:Response that reports a failure to dst. The Response itself is
// signed, because no assertion carries a signature.
func (r *Response) WriteStatus(dst []byte, status Status, s *xmldsig.Signer) ([]byte, error) {
	if err := r.checkFields(); err != nil {
		return nil, err
	}
	if status.Code != StatusRequester && status.Code != StatusResponder {
		return nil, fmt.Errorf("write Response: top-level status code %q is not Requester or Responder", status.Code)
	}
	return r.writeStatus(dst, "Response", status, s)
}

// writeStatus appends a message that contains only a Status, signed unless s is nil.
func (r *Response) writeStatus(dst []byte, name string, status Status, s *xmldsig.Signer) ([]byte, error) {
	start := len(dst)
	w := xmltree.NewWriter(dst)
	signaturePos := r.openTag(w, name)
	writeStatus(w, status)
	return r.closeTag(w, name, start, signaturePos, s)
}

// closeTag ends the message that begins at start and signs it unless s is nil.
func (r *Response) closeTag(w *xmltree.Writer, name string, start, signaturePos int, s *xmldsig.Signer) ([]byte, error) {
	w.End()
	buf, err := w.Finish()
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	if s == nil {
		return buf, nil
	}
	return s.SignFrom(buf, start, r.ID, signaturePos)
}

// openTag writes the start tag and the Issuer, and returns the position of the signature. It
// leaves out empty attributes.
func (r *Response) openTag(w *xmltree.Writer, name string) (signaturePos int) {
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

func writeStatus(w *xmltree.Writer, status Status) {
	w.Start("samlp", NamespaceProtocol, "Status")
	w.Start("samlp", NamespaceProtocol, "StatusCode", newAttr("Value", status.Code))
	if status.Detail != "" {
		w.Element("samlp", NamespaceProtocol, "StatusCode", "", newAttr("Value", status.Detail))
	}
	w.End()
	if status.Message != "" {
		w.Element("samlp", NamespaceProtocol, "StatusMessage", status.Message)
	}
	w.End()
}

// writeAssertion writes the signed assertion.
func (r *Response) writeAssertion(w *xmltree.Writer, a *Assertion, p Protection) error {
	start := w.Len()
	signaturePos := r.writeUnsignedAssertion(w, a)
	buf, err := w.Bytes()
	if err != nil {
		return fmt.Errorf("write Assertion: %w", err)
	}
	if buf, err = p.Signer.SignFrom(buf, start, a.ID, signaturePos); err != nil {
		return err
	}
	w.Resume(buf)
	return nil
}

// writeEncryptedAssertion writes the assertion, signed and then encrypted. It is written as a
// separate document, so that it declares its own namespaces.
func (r *Response) writeEncryptedAssertion(w *xmltree.Writer, a *Assertion, p Protection) error {
	assertionWriter := xmltree.NewWriter(make([]byte, 0, 6<<10))
	if err := r.writeAssertion(assertionWriter, a, p); err != nil {
		return err
	}
	buf, err := assertionWriter.Finish()
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
