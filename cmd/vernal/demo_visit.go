package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	"github.com/crewjam/saml/samlsp"
	"github.com/crewjam/saml/xmlenc"

	"vernal/certs"
	"vernal/idp/keyring"
	"vernal/templates"
)

// visit is somebody who is signed in to a sample: the assertion that the library
// accepted, and the message that it came in.
type visit struct {
	assertion *saml.Assertion
	response  *etree.Document
	inside    *etree.Document // the assertion where it came encrypted, else nil
}

// visits are the sessions of a sample, in memory, by a random cookie.
type visits struct {
	cookie string
	key    *rsa.PrivateKey

	mu   sync.Mutex
	open map[string]*visit
}

// maxVisits bounds the sessions of a sample.
const maxVisits = 100

var _ samlsp.SessionProvider = (*visits)(nil)

func newVisits(cookie string, key *rsa.PrivateKey) *visits {
	return &visits{cookie: cookie, key: key, open: make(map[string]*visit)}
}

// CreateSession is called with an assertion that was accepted.
func (v *visits) CreateSession(w http.ResponseWriter, r *http.Request, assertion *saml.Assertion) error {
	raw, err := postedResponse(r)
	if err != nil {
		return err
	}
	now := &visit{assertion: assertion, response: etree.NewDocument()}
	if err := now.response.ReadFromBytes(raw); err != nil {
		return fmt.Errorf("read the response: %w", err)
	}
	if now.inside, err = decrypted(now.response, v.key); err != nil {
		return err
	}
	id := rand.Text()
	v.mu.Lock()
	for old := range v.open {
		if len(v.open) < maxVisits {
			break
		}
		delete(v.open, old)
	}
	v.open[id] = now
	v.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: v.cookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return nil
}

// DeleteSession forgets the session and its cookie.
func (v *visits) DeleteSession(w http.ResponseWriter, r *http.Request) error {
	if c, err := r.Cookie(v.cookie); err == nil {
		v.mu.Lock()
		delete(v.open, c.Value)
		v.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: v.cookie, Path: "/", MaxAge: -1})
	return nil
}

// GetSession gives the *visit of the request.
func (v *visits) GetSession(r *http.Request) (samlsp.Session, error) {
	c, err := r.Cookie(v.cookie)
	if err != nil {
		return nil, samlsp.ErrNoSession
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if open, ok := v.open[c.Value]; ok {
		return open, nil
	}
	return nil, samlsp.ErrNoSession
}

// page shows the visit. The years are the identity provider's, to tell whose
// certificate it was.
func (v *visit) page(years []keyring.Entry) templates.DemoSignedInPage {
	p := templates.DemoSignedInPage{Response: indentedDoc(v.response)}
	if s := v.assertion.Subject; s != nil && s.NameID != nil {
		p.NameID, p.Format = s.NameID.Value, s.NameID.Format
	}
	for _, a := range v.assertion.AuthnStatements {
		p.SessionIndex, p.AuthnAt = a.SessionIndex, a.AuthnInstant
		if a.AuthnContext.AuthnContextClassRef != nil {
			p.ClassRef = a.AuthnContext.AuthnContextClassRef.Value
		}
	}
	for _, statement := range v.assertion.AttributeStatements {
		for _, a := range statement.Attributes {
			p.Attributes = append(p.Attributes, shownAttribute(&p, a))
		}
	}
	signed := v.response
	if v.inside != nil {
		signed = v.inside
		p.Assertion = indentedDoc(v.inside)
		if m := v.response.FindElement("//EncryptedData/EncryptionMethod"); m != nil {
			p.Encryption = m.SelectAttrValue("Algorithm", "")
		}
	}
	signedBy(&p, signed, years)
	return p
}

// shownAttribute reads an attribute, and notes what the page says in words.
func shownAttribute(p *templates.DemoSignedInPage, a saml.Attribute) templates.DemoAttribute {
	shown := templates.DemoAttribute{Name: a.Name}
	for _, value := range a.Values {
		shown.Values = append(shown.Values, value.Value)
	}
	if len(shown.Values) > 0 {
		switch a.Name {
		case "email":
			p.Email = shown.Values[0]
		case "ial":
			p.IAL = shown.Values[0]
		case "aal":
			p.AAL = shown.Values[0]
		}
	}
	return shown
}

// signedBy tells which key signed the assertion. The library has verified the
// signature and found the certificate in it among those of the metadata, so
// here it is only compared.
func signedBy(p *templates.DemoSignedInPage, doc *etree.Document, years []keyring.Entry) {
	signature := doc.FindElement("//Assertion/Signature")
	if signature == nil {
		return
	}
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

// postedResponse is the SAMLResponse of a form.
func postedResponse(r *http.Request) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(r.PostForm.Get("SAMLResponse"))
	if err != nil {
		return nil, fmt.Errorf("read the form: %w", err)
	}
	if len(raw) == 0 {
		return nil, errors.New("the form has no SAMLResponse")
	}
	return raw, nil
}

// decrypted is the assertion inside a response; nil if it came in the clear.
func decrypted(response *etree.Document, key *rsa.PrivateKey) (*etree.Document, error) {
	outer := response.FindElement("//EncryptedAssertion/EncryptedData")
	if outer == nil {
		return nil, nil
	}
	var with any = key
	if k := response.FindElement("//EncryptedAssertion/EncryptedKey"); k != nil {
		inner, err := xmlenc.Decrypt(key, k)
		if err != nil {
			return nil, fmt.Errorf("decrypt the key of the assertion: %w", err)
		}
		with = inner
	}
	text, err := xmlenc.Decrypt(with, outer)
	if err != nil {
		return nil, fmt.Errorf("decrypt the assertion: %w", err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(text); err != nil {
		return nil, fmt.Errorf("read the assertion: %w", err)
	}
	return doc, nil
}

// indented is XML to be read by people; what is no XML stays as it is.
func indented(raw []byte) string {
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(raw); err != nil {
		return string(raw)
	}
	return indentedDoc(doc)
}

func indentedDoc(doc *etree.Document) string {
	doc = doc.Copy()
	doc.Indent(2)
	text, err := doc.WriteToString()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(text)
}

// tracker remembers a request in a cookie of its own, as the library does, for
// longer, and takes the cookie back afterwards.
type tracker struct{ samlsp.CookieRequestTracker }

func newTracker(prefix string, o samlsp.Options, provider *saml.ServiceProvider) samlsp.RequestTracker {
	codec := samlsp.DefaultTrackedRequestCodec(o)
	codec.MaxAge = sampleWait
	return tracker{samlsp.CookieRequestTracker{
		ServiceProvider: provider, NamePrefix: prefix, Codec: codec, MaxAge: sampleWait, SameSite: http.SameSiteLaxMode,
	}}
}

// StopTrackingRequest takes back the cookie that TrackRequest set. The library
// names a Domain, and with it another cookie.
func (t tracker) StopTrackingRequest(w http.ResponseWriter, _ *http.Request, index string) error {
	http.SetCookie(w, &http.Cookie{Name: t.NamePrefix + index, Path: pathACS, MaxAge: -1})
	return nil
}
