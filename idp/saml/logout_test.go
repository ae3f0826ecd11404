package saml_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmldsig"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

const testLogout = "https://idp.example/api/saml/logout2026"

// logoutXML returns a LogoutRequest in exclusive canonical form, with the children after its
// Issuer.
func logoutXML(attrs, children string) string {
	return `<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" Destination="` + testLogout + `" ID="_l1"` +
		` IssueInstant="2026-11-22T11:00:00Z"` + attrs + ` Version="2.0">` +
		`<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">` + testSP + `</saml:Issuer>` + children + `</samlp:LogoutRequest>`
}

const (
	nameID       = `<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">uuid-1</saml:NameID>`
	sessionIndex = `<samlp:SessionIndex>_s1</samlp:SessionIndex>`
	guideIndex   = `<saml:SessionIndex xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">_s1</saml:SessionIndex>`
)

func parseLogout(t testing.TB, doc string) (*saml.LogoutRequest, error) {
	t.Helper()
	root, err := xmltree.Parse([]byte(doc), xmltree.MessageLimits())
	if err != nil {
		t.Fatal(err)
	}
	return saml.ParseLogoutRequest(root)
}

func TestParseReadsLogoutRequest(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)
	ada := &saml.NameID{Value: "uuid-1", Format: saml.NameIDFormatPersistent}
	tests := []struct {
		name, attrs, children string
		want                  saml.LogoutRequest // except the header
		code                  idp.RefusalCode
	}{
		{"plain", "", nameID + sessionIndex, saml.LogoutRequest{Subject: saml.Subject{NameID: ada}, SessionIndexes: []string{"_s1"}}, ""},
		{"no SessionIndex", "", nameID, saml.LogoutRequest{Subject: saml.Subject{NameID: ada}}, ""},
		{"the guide's SessionIndex", "", guideIndex + nameID, saml.LogoutRequest{Subject: saml.Subject{NameID: ada}, SessionIndexes: []string{"_s1"}}, ""},
		{"both spellings", "", guideIndex + nameID + sessionIndex, saml.LogoutRequest{}, idp.RefusedSessionIndex},
		{"several", "", nameID + sessionIndex + strings.Replace(sessionIndex, "_s1", "_s2", 1) + sessionIndex,
			saml.LogoutRequest{Subject: saml.Subject{NameID: ada}, SessionIndexes: []string{"_s1", "_s2"}}, ""},
		{"too many", "", nameID + manyIndexes(33), saml.LogoutRequest{}, idp.RefusedSessionIndex},
		{"a SessionIndex of another namespace", "", nameID + `<x:SessionIndex xmlns:x="urn:x">_s1</x:SessionIndex>`, saml.LogoutRequest{}, idp.RefusedValue},
		{"elements in the SessionIndex", "", nameID + `<samlp:SessionIndex>_s1<a>x</a></samlp:SessionIndex>`, saml.LogoutRequest{}, idp.RefusedSessionIndex},
		{"expiry and reason", ` NotOnOrAfter="2026-11-22T11:05:00Z" Reason="urn:oasis:names:tc:SAML:2.0:logout:user"`, nameID,
			saml.LogoutRequest{Subject: saml.Subject{NameID: ada}, NotOnOrAfter: at.Add(5 * time.Minute), Reason: "urn:oasis:names:tc:SAML:2.0:logout:user"}, ""},
		{"an expiry that is none", ` NotOnOrAfter="soon"`, nameID, saml.LogoutRequest{}, idp.RefusedNotOnOrAfter},
		{"unknown user", "", sessionIndex, saml.LogoutRequest{}, idp.RefusedNameID},
		{"two people", "", nameID + strings.Replace(nameID, "uuid-1", "uuid-2", 1), saml.LogoutRequest{}, idp.RefusedNameID},
		{"in the clear and encrypted", "", nameID + `<saml:EncryptedID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"></saml:EncryptedID>`, saml.LogoutRequest{}, idp.RefusedNameID},
		{"an empty name", "", strings.Replace(nameID, "uuid-1", " ", 1), saml.LogoutRequest{}, idp.RefusedNameID},
		{"elements in the name", "", strings.Replace(nameID, "uuid-1", "uuid-1<a>x</a>", 1), saml.LogoutRequest{}, idp.RefusedNameID},
		{"a name of another namespace", "", `<x:NameID xmlns:x="urn:x">uuid-1</x:NameID>`, saml.LogoutRequest{}, idp.RefusedValue},
		{"BaseID", "", `<saml:BaseID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"></saml:BaseID>`, saml.LogoutRequest{}, idp.RefusedValue},
		{"text between", "", "x" + nameID, saml.LogoutRequest{}, idp.RefusedValue},
		{"a name within another element", "", `<samlp:Extensions>` + nameID + `</samlp:Extensions>`, saml.LogoutRequest{}, idp.RefusedNameID},
		{"qualifiers", "", strings.Replace(nameID, " Format", ` NameQualifier="a" SPNameQualifier="b" Format`, 1),
			saml.LogoutRequest{Subject: saml.Subject{NameID: &saml.NameID{Value: "uuid-1", Format: saml.NameIDFormatPersistent, NameQualifier: "a", SPNameQualifier: "b"}}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseLogout(t, logoutXML(tt.attrs, tt.children))
			if code := refusalCode(t, err); code != tt.code {
				t.Fatalf("refused %q (%v), want %q", code, err, tt.code)
			}
			if err != nil {
				return
			}
			tt.want.Header = saml.Header{ID: "_l1", IssueInstant: at, Issuer: testSP, Destination: testLogout, HasDestination: true}
			if diff := cmp.Diff(&tt.want, got, cmpopts.IgnoreUnexported(saml.Subject{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if _, err := parseLogout(t, `<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"></samlp:AuthnRequest>`); refusalCode(t, err) != idp.RefusedMessageType {
		t.Errorf("an AuthnRequest: %v", err)
	}
}

func manyIndexes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("<samlp:SessionIndex>_" + strings.Repeat("x", i+1) + "</samlp:SessionIndex>")
	}
	return b.String()
}

// refusalCode returns the code of a *idp.Refusal, or "" for nil.
func refusalCode(t testing.TB, err error) idp.RefusalCode {
	t.Helper()
	if err == nil {
		return ""
	}
	var r *idp.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("%T, want a *idp.Refusal: %v", err, err)
	}
	return r.Code
}

func TestCheckNamesLogoutRequestFault(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)
	tests := []struct {
		name   string
		change func(*saml.LogoutRequest, *saml.Expectation)
		code   idp.RefusalCode
	}{
		{"as it should be", nil, ""},
		{"about to end", func(r *saml.LogoutRequest, _ *saml.Expectation) { r.NotOnOrAfter = at.Add(time.Second) }, ""},
		{"ended, by clocks that differ", func(r *saml.LogoutRequest, _ *saml.Expectation) { r.NotOnOrAfter = at.Add(-59 * time.Second) }, ""},
		{"ended", func(r *saml.LogoutRequest, _ *saml.Expectation) { r.NotOnOrAfter = at.Add(-time.Minute) }, idp.RefusedNotOnOrAfter},
		{"old", func(_ *saml.LogoutRequest, e *saml.Expectation) { e.Now = at.Add(time.Hour) }, idp.RefusedIssueInstantOld},
		{"from before a restore", func(_ *saml.LogoutRequest, e *saml.Expectation) { e.RestoredAt = at.Add(1) }, idp.RefusedBeforeRestore},
		{"another address", func(_ *saml.LogoutRequest, e *saml.Expectation) { e.Destinations[0] += "b" }, idp.RefusedDestination},
		{"another sender", func(_ *saml.LogoutRequest, e *saml.Expectation) { e.Issuer = "x" }, idp.RefusedIssuer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := parseLogout(t, logoutXML("", nameID))
			if err != nil {
				t.Fatal(err)
			}
			e := saml.Expectation{Now: at, Issuer: testSP, Destinations: []string{testLogout}}
			if tt.change != nil {
				tt.change(r, &e)
			}
			if code := refusalCode(t, r.AppendFindings(nil, e).Err()); code != tt.code {
				t.Errorf("refused %q, want %q", code, tt.code)
			}
		})
	}
}

// An EncryptedID is decrypted with our key, and is not read without it.
func TestEncryptedLogoutNameIDNeedsKey(t *testing.T) {
	t.Parallel()
	encrypter, err := xmlenc.New(testCert(t), idp.EncryptionCBC, idp.DigestSHA1)
	if err != nil {
		t.Fatal(err)
	}
	encrypted := func(plain string) string {
		w := xmltree.NewWriter(nil)
		w.Start("saml", saml.NamespaceAssertion, "EncryptedID")
		if err := encrypter.Write(w, []byte(plain)); err != nil {
			t.Fatal(err)
		}
		w.End()
		doc, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		return string(doc)
	}
	r, err := parseLogout(t, logoutXML("", encrypted(nameID)+sessionIndex))
	if err != nil || r.NameID != nil || !r.IsEncrypted() {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := r.Open(rsaKey()); err != nil || r.NameID == nil || r.NameID.Value != "uuid-1" || r.IsEncrypted() {
		t.Errorf("%+v, %v", r.NameID, err)
	}
	for _, wrong := range []string{"<x", sessionIndex, strings.Replace(nameID, "uuid-1", "", 1), "<!DOCTYPE a><a/>", `<NameID>uuid-1</NameID>`} {
		r, err := parseLogout(t, logoutXML("", encrypted(wrong)))
		if err != nil {
			t.Fatal(err)
		}
		if code := refusalCode(t, r.Open(rsaKey())); code != idp.RefusedEncryptedID || r.NameID != nil {
			t.Errorf("%q: refused %q, %+v", wrong, code, r.NameID)
		}
	}
}

func TestWriteLogoutResponseMatchesSchema(t *testing.T) {
	t.Parallel()
	r := saml.LogoutResponse{
		ID: "_r1", IssueInstant: testNow, Issuer: testIssuer, Destination: "https://sp.example/slo?a=b&c=d", InResponseTo: "_l1",
		Status: saml.Status{Code: saml.StatusRequester, Detail: saml.StatusUnknownPrincipal},
	}
	unsigned, err := r.Write(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `<samlp:LogoutResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" Destination="https://sp.example/slo?a=b&amp;c=d" ID="_r1"` +
		` InResponseTo="_l1" IssueInstant="2026-11-22T11:00:00Z" Version="2.0">` +
		`<Issuer xmlns="urn:oasis:names:tc:SAML:2.0:assertion">https://idp.example/api/saml</Issuer>` +
		`<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Requester">` +
		`<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:UnknownPrincipal"></samlp:StatusCode></samlp:StatusCode></samlp:Status></samlp:LogoutResponse>`
	if diff := cmp.Diff(want, string(unsigned)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	validates(t, "protocol", unsigned)

	signer, err := xmldsig.NewSigner(rsaKey(), testCert(t))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := r.Write(nil, signer)
	if err != nil {
		t.Fatal(err)
	}
	validates(t, "protocol", signed)
	root, err := xmltree.Parse(signed, xmltree.MessageLimits())
	if err != nil {
		t.Fatal(err)
	}
	xmlsecVerifies(t, signed, saml.NamespaceProtocol+":LogoutResponse", signer.Cert)
	if _, err := xmldsig.VerifyEnveloped(root, []*x509.Certificate{signer.Cert}); err != nil {
		t.Error(err)
	}
	for _, missing := range []func(*saml.LogoutResponse){
		func(r *saml.LogoutResponse) { r.ID = "" }, func(r *saml.LogoutResponse) { r.Issuer = "" },
		func(r *saml.LogoutResponse) { r.Status.Code = "" },
		func(r *saml.LogoutResponse) { r.IssueInstant = time.Time{} },
	} {
		r := r
		missing(&r)
		if doc, err := r.Write(nil, nil); err == nil {
			t.Errorf("written: %s", doc)
		}
	}
	r.Destination = ""
	if doc, err := r.Write(nil, nil); err != nil || bytes.Contains(doc, []byte("Destination")) {
		t.Errorf("without a Destination: %s, %v", doc, err)
	}
}

// A signed LogoutRequest in a SOAP envelope verifies wherever its namespaces are declared. A
// Body with anything but that one message is refused.
func TestSOAPEnvelopeHoldsOneMessage(t *testing.T) {
	t.Parallel()
	cert := testCert(t)
	signer, err := xmldsig.NewSigner(rsaKey(), cert)
	if err != nil {
		t.Fatal(err)
	}
	text := logoutXML("", nameID)
	signed, err := signer.Sign([]byte(text), "_l1", strings.Index(text, nameID))
	if err != nil {
		t.Fatal(err)
	}
	message := string(signed)
	outside := strings.Replace(message, ` xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"`, "", 1)
	const soap = `xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"`
	tests := []struct {
		name, doc string
		code      idp.RefusalCode
	}{
		{"plain", `<S:Envelope ` + soap + `><S:Body>` + message + `</S:Body></S:Envelope>`, ""},
		{"with a declaration and space", `<?xml version="1.0" encoding="UTF-8"?><S:Envelope ` + soap + ">\n <S:Header/>\n <S:Body>\n" + message + "\n</S:Body>\n</S:Envelope>", ""},
		{"namespace of the Envelope", `<S:Envelope ` + soap + ` xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"><S:Body>` + outside + `</S:Body></S:Envelope>`, ""},
		{"namespace of the Body", `<S:Envelope ` + soap + ` xmlns:samlp="urn:x"><S:Body xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol">` + outside + `</S:Body></S:Envelope>`, ""},
		{"no envelope", message, idp.RefusedMessageType},
		{"SOAP 1.2", `<S:Envelope xmlns:S="http://www.w3.org/2003/05/soap-envelope"><S:Body>` + message + `</S:Body></S:Envelope>`, idp.RefusedMessageType},
		{"two messages", `<S:Envelope ` + soap + `><S:Body>` + message + message + `</S:Body></S:Envelope>`, idp.RefusedValue},
		{"two bodies", `<S:Envelope ` + soap + `><S:Body>` + message + `</S:Body><S:Body></S:Body></S:Envelope>`, idp.RefusedValue},
		{"an empty body", `<S:Envelope ` + soap + `><S:Body></S:Body></S:Envelope>`, idp.RefusedRequestMissing},
		{"no body", `<S:Envelope ` + soap + `></S:Envelope>`, idp.RefusedRequestMissing},
		{"a header after the body", `<S:Envelope ` + soap + `><S:Body>` + message + `</S:Body><S:Header/></S:Envelope>`, idp.RefusedValue},
		{"the message in the header", `<S:Envelope ` + soap + `><S:Header>` + message + `</S:Header><S:Body></S:Body></S:Envelope>`, idp.RefusedRequestMissing},
		{"a header to be understood", `<S:Envelope ` + soap + `><S:Header><x S:mustUnderstand="1"/></S:Header><S:Body>` + message + `</S:Body></S:Envelope>`, idp.RefusedValue},
		{"text in the body", `<S:Envelope ` + soap + `><S:Body>x` + message + `</S:Body></S:Envelope>`, idp.RefusedValue},
		{"nothing", "", idp.RefusedRequestMissing},
		{"no XML", "SAMLRequest=x", idp.RefusedXML},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := saml.ReadSOAP([]byte(tt.doc))
			if code := refusalCode(t, err); code != tt.code {
				t.Fatalf("refused %q (%v), want %q", code, err, tt.code)
			}
			if err != nil {
				return
			}
			root, used, err := m.Verify([]*x509.Certificate{cert}, true)
			if err != nil || used != cert {
				t.Fatalf("verify: %v", err)
			}
			if r, err := saml.ParseLogoutRequest(root); err != nil || r.NameID.Value != "uuid-1" {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	r := saml.LogoutResponse{ID: "_r1", IssueInstant: testNow, Issuer: testIssuer, InResponseTo: "_l1", Status: saml.Status{Code: saml.StatusSuccess}}
	doc, err := r.WriteSOAP(nil, signer)
	if err != nil {
		t.Fatal(err)
	}
	m, err := saml.ReadSOAP(doc)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Verify([]*x509.Certificate{cert}, true); err != nil {
		t.Errorf("our own answer does not verify: %v", err)
	}
}

func FuzzLogoutRequest(f *testing.F) {
	f.Add(logoutXML("", nameID+sessionIndex))
	f.Add(`<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>` + logoutXML("", guideIndex+nameID) + `</S:Body></S:Envelope>`)
	f.Fuzz(func(t *testing.T, doc string) {
		if m, err := saml.ReadSOAP([]byte(doc)); err == nil {
			_, _ = m.ClaimedIssuer()
			_, _, _ = m.Verify(nil, true)
		}
		root, err := xmltree.Parse([]byte(doc), xmltree.MessageLimits())
		if err != nil {
			return
		}
		if r, err := saml.ParseLogoutRequest(root); err == nil && (r.ID == "" || r.NameID == nil && !r.IsEncrypted()) {
			t.Errorf("accepted: %+v", r)
		}
	})
}
