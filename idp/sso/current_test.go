package sso

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/consent"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/web"
)

// newCert returns a new request certificate.
func newCert(t *testing.T) *x509.Certificate {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// An accepted request is checked against the current registration when it is answered,
// whichever page the user comes from.
func TestRequestIsCheckedAgainBeforeAnswer(t *testing.T) {
	t.Parallel()
	list := []*x509.Certificate{newCert(t), newCert(t)}
	signed := certs.CertSHA256(list[1])
	tests := []struct {
		name   string
		change func(*idp.ServiceProvider, *idp.LoginRequest)
		want   idp.RefusalCode // "" for none
	}{
		{"as it was", func(*idp.ServiceProvider, *idp.LoginRequest) {}, ""},
		{"switched off", func(p *idp.ServiceProvider, _ *idp.LoginRequest) { p.Active = false }, idp.RefusedSPInactive},
		{"another ACS", func(p *idp.ServiceProvider, _ *idp.LoginRequest) { p.ACSURLs = []string{"https://a.example/2"} }, idp.RefusedACSURL},
		{"the address without leave", func(_ *idp.ServiceProvider, r *idp.LoginRequest) { r.NameIDFormat = saml.NameIDFormatEmail }, idp.RefusedNameIDFormat},
		{"the address with leave", func(p *idp.ServiceProvider, r *idp.LoginRequest) {
			p.NameIDFormats, r.NameIDFormat = []string{idp.NameIDFormatEmail}, saml.NameIDFormatEmail
		}, ""},
		{"unsigned", func(_ *idp.ServiceProvider, r *idp.LoginRequest) { r.CertSHA256 = "" }, idp.RefusedSignatureMissing},
		{"unsigned with leave", func(p *idp.ServiceProvider, r *idp.LoginRequest) {
			p.SignRequests, r.CertSHA256 = idp.SignRequestsOptional, ""
		}, ""},
		{"its certificate was removed", func(p *idp.ServiceProvider, _ *idp.LoginRequest) { p.Certs = p.Certs[:1] }, idp.RefusedSignature},
		{"its certificate was removed, and none is needed", func(p *idp.ServiceProvider, _ *idp.LoginRequest) {
			p.Certs, p.SignRequests = p.Certs[:1], idp.SignRequestsOptional
		}, idp.RefusedSignature},
		{"encrypted to the certificate that signed", func(p *idp.ServiceProvider, _ *idp.LoginRequest) { p.Encryption = idp.EncryptionGCM }, ""},
		{"encrypted, to an unknown recipient", func(p *idp.ServiceProvider, r *idp.LoginRequest) {
			p.Encryption, p.SignRequests, r.CertSHA256 = idp.EncryptionGCM, idp.SignRequestsOptional, ""
		}, idp.RefusedNoCertificate},
		{"a rehearsal", func(p *idp.ServiceProvider, _ *idp.LoginRequest) { p.EntityID, p.Preview = idp.RehearsalSP, "2031" }, ""},
		{"a rehearsal of another year", func(p *idp.ServiceProvider, _ *idp.LoginRequest) {
			p.EntityID, p.Preview = idp.RehearsalSP, "2032"
		}, idp.RefusedSPUnknown},
		{"a preview of another year", func(p *idp.ServiceProvider, _ *idp.LoginRequest) { p.Preview = "2032" }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			record := &idp.ServiceProvider{
				EntityID: "https://a.example", Active: true, ACSURLs: []string{"https://a.example/1"},
				NameIDFormats: []string{idp.NameIDFormatPersistent}, SignRequests: idp.SignRequestsRequired,
			}
			for _, c := range list {
				record.Certs = append(record.Certs, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
			}
			req := &idp.LoginRequest{
				SP: record.EntityID, Year: "2031", ACSURL: "https://a.example/1",
				NameIDFormat: saml.NameIDFormatPersistent, CertSHA256: signed,
			}
			tt.change(record, req)
			p, err := sp.Parse(record)
			if err != nil {
				t.Fatal(err)
			}
			a := acceptedRequest{request: req, provider: p}
			var code idp.RefusalCode
			if refusal, ok := errors.AsType[*idp.Refusal](a.checkRegistration()); ok {
				code = refusal.Code
			}
			if code != tt.want {
				t.Fatalf("refused for %q, want %q", code, tt.want)
			}
			if to, err := p.ChooseRecipient(a.cert, req.ReceivedAt); tt.want == "" && record.Encryption != "" && (err != nil || !to.Equal(list[1])) {
				t.Errorf("encrypted to %v, %v; want the certificate that signed", to, err)
			}
		})
	}
}

// A refusal without an obstacle in the user's record has a page, too.
func TestUserErrorIsARefusal(t *testing.T) {
	t.Parallel()
	a := acceptedRequest{provider: &sp.Provider{ServiceProvider: idp.ServiceProvider{Name: "A"}}}
	refusal, ok := errors.AsType[*idp.Refusal](new(Handler).newUserError(&a, step{kind: stepRefuse, refusal: idp.Refuse(idp.RefusedAccountLocked, "account", "")}))
	if !ok || refusal.Code != idp.RefusedAccountLocked {
		t.Errorf("%v", refusal)
	}
}

// The user is named by the verified email address that they last signed in with. It counts as
// undisclosed until the service provider was sent it.
func TestNewEmailIsDisclosedOnce(t *testing.T) {
	t.Parallel()
	at := time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)
	const sp = "https://a.example"
	person := &idp.User{Emails: []idp.Email{
		{Address: "new@x.gov", ConfirmedAt: at, LastSignInAt: at.Add(time.Hour)},
		{Address: "old@x.gov", ConfirmedAt: at, LastSignInAt: at, DisclosedTo: []idp.EntityID{sp}},
		{Address: "not-theirs@x.gov", LastSignInAt: at.Add(2 * time.Hour)},
	}}
	disclosed := &idp.User{Emails: []idp.Email{{Address: "new@x.gov", ConfirmedAt: at, LastSignInAt: at, DisclosedTo: []idp.EntityID{sp}}}}
	tests := []struct {
		name, format string
		user         *idp.User
		want         string
	}{
		{"named by the address", saml.NameIDFormatEmail, person, "new@x.gov"},
		{"disclosed before", saml.NameIDFormatEmail, disclosed, ""},
		{"not named by it", saml.NameIDFormatPersistent, person, ""},
		{"without any", saml.NameIDFormatEmail, &idp.User{}, ""},
	}
	for _, tt := range tests {
		a := acceptedRequest{request: &idp.LoginRequest{SP: sp, NameIDFormat: tt.format}}
		if got := a.findUndisclosedEmail(tt.user); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The audit record of a sign-in depends on how the user signed in.
func TestSignInEventTellsHowUserSignedIn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		req    idp.LoginRequest
		asked  consent.Reason
		kind   string
		detail map[string]string
	}{
		{"plain", idp.LoginRequest{SP: "https://a.example"}, consent.NotNeeded, "sign_in", nil},
		{"asked", idp.LoginRequest{SP: "https://a.example"}, consent.Grown, "sign_in", map[string]string{"consent": "grown"}},
		{"in a preview", idp.LoginRequest{SP: "https://a.example", Preview: "field"}, consent.NotNeeded, "sign_in", map[string]string{"preview": "field"}},
		{"in a preview, asked", idp.LoginRequest{SP: "https://a.example", Preview: "field"}, consent.First, "sign_in", map[string]string{"preview": "field", "consent": "first"}},
		{"in a rehearsal", idp.LoginRequest{SP: idp.RehearsalSP, Preview: "field"}, consent.NotNeeded, "rotation.rehearse", map[string]string{"step": "response"}},
	}
	for _, tt := range tests {
		tt.req.Year = "2031"
		got := newSignInEvent(&tt.req, &idp.User{ID: "ada"}, tt.asked, &web.Event{ID: "ID", ClientIP: "192.0.2.1"})
		if got.Actor != "user:ada" || got.User != "ada" || got.SP != tt.req.SP || got.Year != "2031" || got.RequestID != "ID" || got.IPAddress != "192.0.2.1" {
			t.Errorf("%s: %+v", tt.name, got)
		}
		if string(got.Kind) != tt.kind || !maps.Equal(got.Detail, tt.detail) || len(got.Detail) != len(tt.detail) {
			t.Errorf("%s: %s %v, want %s %v", tt.name, got.Kind, got.Detail, tt.kind, tt.detail)
		}
	}
}

func TestLogNamesDroppedAttributes(t *testing.T) {
	t.Parallel()
	list := []assurance.DroppedAttribute{{Name: "ssn", Reason: assurance.DropLevel}, {Name: "shoe_size", Reason: assurance.DropUnknown}}
	if got := formatDropReasons(list); got != "ssn:level shoe_size:unknown" {
		t.Errorf("the log has %q", got)
	}
}
