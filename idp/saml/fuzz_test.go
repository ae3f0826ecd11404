package saml_test

import (
	"bytes"
	"crypto/x509"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// FuzzRedirectQuery checks that no query causes a panic, and that etree reads the same values
// from every accepted message.
func FuzzRedirectQuery(f *testing.F) {
	for _, c := range readCorpus(f) {
		if c.Inbound.Method == "GET" && len(c.Inbound.RawQuery) < 8<<10 {
			f.Add(c.Inbound.RawQuery)
		}
	}
	certs := loadCerts(f, []string{"sp2", "sp1"})
	f.Fuzz(func(t *testing.T, query string) { judge(t, saml.HTTPRequest{Method: "GET", RawQuery: query}, certs) })
}

// FuzzPostForm does the same for forms.
func FuzzPostForm(f *testing.F) {
	for _, c := range readCorpus(f) {
		if c.Inbound.Method == "POST" && len(c.Inbound.Body) < 8<<10 {
			f.Add(c.Inbound.RawQuery, c.Inbound.ContentType, c.Inbound.Body)
		}
	}
	certs := loadCerts(f, []string{"sp2", "sp1"})
	f.Fuzz(func(t *testing.T, query, contentType string, body []byte) {
		judge(t, saml.HTTPRequest{Method: "POST", RawQuery: query, ContentType: contentType, Body: body}, certs)
	})
}

// FuzzAuthnRequest does the same for the XML.
func FuzzAuthnRequest(f *testing.F) {
	for _, c := range readCorpus(f) {
		if c.Message != "" {
			f.Add([]byte(c.Message))
		}
	}
	certs := loadCerts(f, []string{"sp2", "sp1"})
	f.Fuzz(func(t *testing.T, data []byte) {
		root, err := xmltree.Parse(data, xmltree.MessageLimits())
		if err != nil {
			return
		}
		take(t, &saml.Message{Root: root}, certs, data)
	})
}

func judge(t *testing.T, in saml.HTTPRequest, certs []*x509.Certificate) {
	m, err := saml.Read(in)
	if err != nil {
		mustRefuse(t, err)
		return
	}
	if len(m.RelayState) > 2048 || len(m.Locale) > 32 || len(m.Prompt) > 32 {
		t.Error("a parameter is longer than allowed")
	}
	take(t, m, certs, nil)
}

// take continues with a decoded message. data is its XML, if available.
func take(t *testing.T, m *saml.Message, certs []*x509.Certificate, data []byte) {
	id, err := m.ClaimedIssuer()
	if err != nil {
		mustRefuse(t, err)
		return
	}
	root, cert, err := m.Verify(certs, false)
	if err != nil {
		mustRefuse(t, err)
		return
	}
	signed := m.QuerySignature != nil || hasSignature(m.Root)
	if signed != (cert != nil) {
		t.Errorf("signed: %v, but the certificate is %v", signed, cert)
	}
	r, err := saml.ParseAuthnRequest(root)
	if err != nil {
		mustRefuse(t, err)
		return
	}
	own, _, _ := strings.Cut(r.Destination, "?") // a query is not compared
	if err := r.AppendFindings(nil, saml.Expectation{Now: r.IssueInstant.Add(time.Minute), Issuer: id, Destinations: []string{own}}).Err(); err != nil {
		t.Errorf("own values refused: %v", err)
	}
	if data == nil {
		return
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(bytes.TrimPrefix(data, []byte("\uFEFF"))); err != nil {
		t.Fatalf("etree: %v", err)
	}
	if diff := cmp.Diff(fieldsByEtree(doc.Root()), fieldsOf(r)); diff != "" {
		t.Errorf("etree reads other fields (-etree +ours):\n%s", diff)
	}
}

func mustRefuse(t *testing.T, err error) {
	t.Helper()
	r, ok := err.(*idp.Refusal)
	if !ok || r == nil || r.Code == "" || r.Field == "" || len(r.Seen) > 210 {
		t.Errorf("%T %+v, want a whole *idp.Refusal", err, err)
	}
}

func hasSignature(root *xmltree.Element) bool {
	for e := range root.All() {
		if e.Local == "Signature" && e.Space == "http://www.w3.org/2000/09/xmldsig#" {
			return true
		}
	}
	return false
}

// fields are the values that decide where an answer is sent and what it contains.
type fields struct {
	ID, Issuer, Destination, ACSURL, ACSIndex, Binding, Comparison, Format, Subject string
	ForceAuthn, IsPassive                                                           bool
	ClassRefs                                                                       string
}

func fieldsOf(r *saml.AuthnRequest) fields {
	f := fields{ID: r.ID, Issuer: string(r.Issuer), Destination: r.Destination, ACSURL: r.ACSURL, Binding: r.ProtocolBinding,
		Comparison: r.Comparison, ForceAuthn: r.ForceAuthn, IsPassive: r.IsPassive, ClassRefs: strings.Join(r.ClassRefs, "\n")}
	if r.HasACSIndex {
		f.ACSIndex = strconv.Itoa(r.ACSIndex)
	}
	if r.Subject != nil && r.Subject.NameID != nil {
		f.Subject = r.Subject.NameID.Value
	}
	if r.NameIDPolicy != nil {
		f.Format = r.NameIDPolicy.Format
	}
	return f
}

// fieldsByEtree reads the fields by local name, with independent code.
func fieldsByEtree(root *etree.Element) fields {
	spaces := strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")
	attr := func(e *etree.Element, name string) string {
		for _, a := range e.Attr {
			if a.Space == "" && a.Key == name {
				return strings.Trim(spaces.Replace(a.Value), " ")
			}
		}
		return ""
	}
	yes := func(s string) bool { return strings.EqualFold(s, "true") || s == "1" }
	f := fields{ID: attr(root, "ID"), Destination: attr(root, "Destination"), ACSURL: attr(root, "AssertionConsumerServiceURL"),
		Binding: attr(root, "ProtocolBinding"), ForceAuthn: yes(attr(root, "ForceAuthn")), IsPassive: yes(attr(root, "IsPassive"))}
	if n, err := strconv.Atoi(attr(root, "AssertionConsumerServiceIndex")); err == nil && f.ACSURL == "" {
		f.ACSIndex = strconv.Itoa(n)
	}
	var refs []string
	for _, c := range root.ChildElements() {
		switch c.Tag {
		case "Issuer":
			f.Issuer = strings.Trim(c.Text(), " \t\r\n")
		case "NameIDPolicy":
			f.Format = attr(c, "Format")
		case "Subject":
			for _, name := range c.ChildElements() {
				if name.Tag == "NameID" {
					f.Subject = strings.Trim(name.Text(), " \t\r\n")
				}
			}
		case "RequestedAuthnContext":
			f.Comparison = attr(c, "Comparison")
			for _, ref := range c.ChildElements() {
				if s := strings.Trim(ref.Text(), " \t\r\n"); ref.Tag == "AuthnContextClassRef" && s != "" {
					refs = append(refs, s)
				}
			}
		}
	}
	f.ClassRefs = strings.Join(refs, "\n")
	return f
}
