package idptest

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/xml"
	"html"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/crewjam/saml"
	"github.com/google/uuid"

	"vernal/idp"
	"vernal/idp/xmldsig"
)

// LogoutRequest describes a LogoutRequest to send. The zero value names no user, goes to the
// preferred year, and has a new ID.
type LogoutRequest struct {
	ID     string
	Year   idp.Year
	NameID string
	// Subject replaces NameID by another XML element that names the user.
	Subject         string
	SessionIndexes []string
	// GuideIndex puts the SessionIndexes into the assertion namespace.
	GuideIndex bool
	// Remote sends it to the endpoint URL of the back channel.
	Remote       bool
	RelayState   string
	Unsigned     bool
	Key          *rsa.PrivateKey // to sign with instead of the provider's own
	IssuedAt       time.Time
	NotOnOrAfter time.Time
	Destination  string // "": the endpoint URL; "-": none
}

// LogoutEndpoint returns the endpoint URL of the request.
func (p *Provider) LogoutEndpoint(r *LogoutRequest) string {
	p.fillLogout(r)
	path := "/api/saml/logout"
	if r.Remote {
		path = "/api/saml/remotelogout"
	}
	return p.idp.URL + path + string(r.Year)
}

func (p *Provider) fillLogout(r *LogoutRequest) {
	if r.ID == "" {
		r.ID = "_" + uuid.NewString()
	}
	if r.Year == "" {
		r.Year = p.idp.Year()
	}
	if r.Key == nil {
		r.Key = p.Key
	}
	if r.IssuedAt.IsZero() {
		r.IssuedAt = p.idp.Clock.Now()
	}
}

// LogoutXML returns the LogoutRequest as text, in exclusive canonical form. signAt is the
// offset for an enveloped signature.
func (p *Provider) LogoutXML(r *LogoutRequest) (text string, signAt int) {
	address := p.LogoutEndpoint(r)
	switch r.Destination {
	case "":
	case "-":
		address = ""
	default:
		address = r.Destination
	}
	until := ""
	if !r.NotOnOrAfter.IsZero() {
		until = r.NotOnOrAfter.UTC().Format(time.RFC3339)
	}
	var b strings.Builder
	b.WriteString(`<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"`)
	for _, a := range [][2]string{
		{"Destination", address}, {"ID", r.ID}, {"IssueInstant", r.IssuedAt.UTC().Format(time.RFC3339)}, {"NotOnOrAfter", until}, {"Version", "2.0"},
	} {
		if a[1] != "" {
			b.WriteString(" " + a[0] + `="` + html.EscapeString(a[1]) + `"`)
		}
	}
	b.WriteString(`>` + assertionElement("Issuer", p.EntityID))
	signAt = b.Len()
	if r.Subject != "" {
		b.WriteString(r.Subject)
	} else {
		b.WriteString(assertionElement("NameID", r.NameID))
	}
	for _, index := range r.SessionIndexes {
		if r.GuideIndex {
			b.WriteString(assertionElement("SessionIndex", index))
		} else {
			b.WriteString(`<samlp:SessionIndex>` + html.EscapeString(index) + `</samlp:SessionIndex>`)
		}
	}
	b.WriteString(`</samlp:LogoutRequest>`)
	return b.String(), signAt
}

// LogoutURL returns the URL of the request by HTTP-Redirect with a detached signature.
func (p *Provider) LogoutURL(r *LogoutRequest) string {
	text, _ := p.LogoutXML(r)
	key := r.Key
	if r.Unsigned {
		key = nil
	}
	return p.LogoutEndpoint(r) + "?" + p.encodeQuery(text, r.RelayState, key)
}

// SignLogout returns the request with an enveloped signature.
func (p *Provider) SignLogout(r *LogoutRequest) []byte {
	text, at := p.LogoutXML(r)
	if r.Unsigned {
		return []byte(text)
	}
	cert := p.Cert
	if r.Key != p.Key {
		cert = createSelfSigned(p.idp, r.Key)
	}
	signer, err := xmldsig.NewSigner(r.Key, cert)
	if err != nil {
		p.idp.tb.Fatal(err)
	}
	doc, err := signer.Sign([]byte(text), r.ID, at)
	if err != nil {
		p.idp.tb.Fatal(err)
	}
	return doc
}

// LogoutForm returns the form that the browser posts: HTTP-POST with an enveloped signature.
func (p *Provider) LogoutForm(r *LogoutRequest) url.Values {
	form := url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(p.SignLogout(r))}}
	if r.RelayState != "" {
		form.Set("RelayState", r.RelayState)
	}
	return form
}

// Answer is the answer of the back channel.
type Answer struct {
	Status      int
	ContentType string
	Body        string
	// Response is the LogoutResponse, or nil. In a SOAP answer it is in the Body.
	Response *saml.LogoutResponse
}

// SendRemoteLogout posts the request from server to server, as a form.
func (p *Provider) SendRemoteLogout(r *LogoutRequest) *Answer {
	p.idp.tb.Helper()
	r.Remote = true
	return p.send(p.LogoutEndpoint(r), "application/x-www-form-urlencoded", p.LogoutForm(r).Encode())
}

// SendSOAPLogout sends the request by SOAP.
func (p *Provider) SendSOAPLogout(r *LogoutRequest) *Answer {
	p.idp.tb.Helper()
	return p.SendEnvelope(r, "text/xml; charset=utf-8")
}

// SendEnvelope sends the request by SOAP, under the Content-Type.
func (p *Provider) SendEnvelope(r *LogoutRequest, contentType string) *Answer {
	p.idp.tb.Helper()
	r.Remote = true
	return p.send(p.LogoutEndpoint(r), contentType, `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>`+string(p.SignLogout(r))+`</S:Body></S:Envelope>`)
}

// SendSOAP sends an envelope as it is.
func (p *Provider) SendSOAP(address, envelope string) *Answer {
	p.idp.tb.Helper()
	return p.send(address, "text/xml; charset=utf-8", envelope)
}

func (p *Provider) send(address, contentType, body string) *Answer {
	p.idp.tb.Helper()
	resp, err := p.idp.Client.Post(address, contentType, strings.NewReader(body))
	if err != nil {
		p.idp.tb.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		p.idp.tb.Fatal(err)
	}
	a := &Answer{Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type"), Body: string(data)}
	a.Response = parseLogoutResponse(data)
	return a
}

// LogoutResponse returns the LogoutResponse that the page posts, nil if it posts none.
func (p *Page) LogoutResponse() *saml.LogoutResponse { return parseLogoutResponse(p.Response()) }

func parseLogoutResponse(doc []byte) *saml.LogoutResponse {
	var soap struct {
		Body struct {
			Response []byte `xml:",innerxml"`
		} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Body"`
	}
	if xml.Unmarshal(doc, &soap) == nil && len(soap.Body.Response) > 0 {
		doc = soap.Body.Response
	}
	r := new(saml.LogoutResponse)
	if err := xml.Unmarshal(doc, r); err != nil {
		return nil
	}
	return r
}
