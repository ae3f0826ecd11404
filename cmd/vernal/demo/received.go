package demo

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	"github.com/crewjam/saml/samlsp"

	"vernal/certs"
	"vernal/idp/keyring"
	"vernal/templates"
)

// memory keeps up to maxValues values, each under a random handle.
type memory[T any] struct {
	mu     sync.Mutex
	values map[string]T
}

// maxValues bounds a memory.
const maxValues = 100

func (m *memory[T]) keep(value T) (handle string) {
	handle = rand.Text()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil {
		m.values = make(map[string]T)
	}
	for old := range m.values {
		if len(m.values) < maxValues {
			break
		}
		delete(m.values, old)
	}
	m.values[handle] = value
	return handle
}

func (m *memory[T]) get(handle string) (value T, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok = m.values[handle]
	return value, ok
}

// take returns a value and removes it.
func (m *memory[T]) take(handle string) (value T, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok = m.values[handle]
	delete(m.values, handle)
	return value, ok
}

// sampleSession is a session of a sample: the assertion that the library accepted, the message
// that carried it, and the decrypted XML if it was encrypted.
type sampleSession struct {
	assertion              *saml.Assertion
	response, decryptedXML string
	encryption             string // the algorithm
}

// GetNameID implements the interface of the library's logout.
func (v *sampleSession) GetNameID() string {
	if s := v.assertion.Subject; s != nil && s.NameID != nil {
		return s.NameID.Value
	}
	return ""
}

// sessions implements the library's sessions with a cookie that names a received assertion.
type sessions struct {
	samlsp.CookieSessionProvider
	sampleSessions memory[*sampleSession]
}

func newSessions(o samlsp.Options) *sessions {
	s := &sessions{CookieSessionProvider: samlsp.DefaultSessionProvider(o)}
	s.Codec = codec{s: s}
	return s
}

// signedOutCookie makes the home page report once that the session ended.
const signedOutCookie = "signed_out"

// CreateSession creates a session for an accepted assertion.
func (s *sessions) CreateSession(w http.ResponseWriter, r *http.Request, assertion *saml.Assertion) error {
	provider := s.CookieSessionProvider
	provider.Codec = codec{s: s, response: readMessage(r)}
	return provider.CreateSession(w, r, assertion)
}

// DeleteSession ends the session.
func (s *sessions) DeleteSession(w http.ResponseWriter, r *http.Request) error {
	if c, err := r.Cookie(s.Name); err == nil {
		s.sampleSessions.take(c.Value)
	}
	http.SetCookie(w, &http.Cookie{Name: signedOutCookie, Value: "1", Path: "/", MaxAge: 60, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return s.CookieSessionProvider.DeleteSession(w, r)
}

// codec stores the received assertion and puts its handle into the cookie.
type codec struct {
	s        *sessions
	response []byte
}

func (c codec) New(a *saml.Assertion) (samlsp.Session, error) {
	v := &sampleSession{assertion: a, response: indent(c.response)}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(c.response); err != nil {
		return nil, err
	}
	method := doc.FindElement("//EncryptedData/EncryptionMethod")
	if method == nil {
		return v, nil
	}
	v.encryption = method.SelectAttrValue("Algorithm", "")
	text, err := etree.NewDocumentWithRoot(a.Element()).WriteToBytes()
	v.decryptedXML = indent(text)
	return v, err
}

func (c codec) Encode(v samlsp.Session) (string, error) {
	return c.s.sampleSessions.keep(v.(*sampleSession)), nil
}

func (c codec) Decode(handle string) (samlsp.Session, error) {
	if v, ok := c.s.sampleSessions.get(handle); ok {
		return v, nil
	}
	return nil, errors.New("the session has ended: sign in again")
}

// buildPage returns the page that shows the assertion. years are those of the identity provider,
// to name the one whose certificate signed.
func (v *sampleSession) buildPage(years []keyring.Entry) templates.DemoSignedInPage {
	page := templates.DemoSignedInPage{Response: v.response, Assertion: v.decryptedXML, Encryption: v.encryption, NameID: v.GetNameID()}
	if s := v.assertion.Subject; s != nil && s.NameID != nil {
		page.Format = s.NameID.Format
	}
	for _, a := range v.assertion.AuthnStatements {
		page.SessionIndex, page.AuthnAt = a.SessionIndex, a.AuthnInstant
		if a.AuthnContext.AuthnContextClassRef != nil {
			page.ClassRef = a.AuthnContext.AuthnContextClassRef.Value
		}
	}
	for _, statement := range v.assertion.AttributeStatements {
		for _, a := range statement.Attributes {
			page.Attributes = append(page.Attributes, showAttribute(&page, a))
		}
	}
	if v.assertion.Signature != nil {
		showSignature(&page, v.assertion.Signature, years)
	}
	return page
}

// showAttribute returns an attribute to show, and sets the field of the page that repeats its
// value.
func showAttribute(p *templates.DemoSignedInPage, a saml.Attribute) templates.DemoAttribute {
	attribute := templates.DemoAttribute{Name: a.Name}
	for _, value := range a.Values {
		attribute.Values = append(attribute.Values, value.Value)
	}
	if len(attribute.Values) > 0 {
		switch a.Name {
		case "email":
			p.Email = attribute.Values[0]
		case "ial":
			p.IAL = attribute.Values[0]
		case "aal":
			p.AAL = attribute.Values[0]
		}
	}
	return attribute
}

// showSignature adds the certificate that signed the assertion, and its year, to the page. The
// library has already verified the signature and that the metadata contains the certificate.
func showSignature(p *templates.DemoSignedInPage, signature *etree.Element, years []keyring.Entry) {
	if m := signature.FindElement("./SignedInfo/SignatureMethod"); m != nil {
		p.Algorithm = m.SelectAttrValue("Algorithm", "")
	}
	text := signature.FindElement(".//X509Certificate")
	if text == nil {
		return
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text.Text()), ""))
	if err != nil {
		return
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return
	}
	p.Fingerprint, p.CertEndAt = certs.CertSHA256(cert), cert.NotAfter
	for _, e := range years {
		if e.Key.Cert.Equal(cert) {
			p.Year = e.Year()
		}
	}
}

// readMessage returns the message in a form, nil without one.
func readMessage(r *http.Request) []byte {
	message, _ := base64.StdEncoding.DecodeString(r.PostForm.Get("SAMLResponse"))
	return message
}

// indent makes XML readable. It returns any other text unchanged.
func indent(message []byte) string {
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(message); err != nil {
		return string(message)
	}
	doc.Indent(2)
	text, _ := doc.WriteToString()
	return strings.TrimSpace(text)
}
