package inbound_test

import (
	"cmp"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/idptest/corpus"
	"vernal/idp/inbound"
	"vernal/idp/saml"
	"vernal/idp/sp"
)

const sender = "https://sp1.example.com/metadata"

// kinds maps the corpus's endpoints to kinds of messages.
var kinds = map[string]inbound.Kind{
	corpus.Auth: inbound.AuthnRequest, corpus.Logout: inbound.LogoutRequest, corpus.RemoteLogout: inbound.RemoteLogoutRequest,
}

// byRegistration lists refusals that depend on the registration, which the corpus does not
// contain.
var byRegistration = []string{
	"refused " + string(idp.RefusedACSURL), "refused " + string(idp.RefusedACSIndex),
	"refused " + string(idp.RefusedNameIDFormat), "refused " + string(idp.RefusedAuthnContext),
}

// Accept returns for every message of the corpus what its file says. The fields of a message
// with a refused signature are not parsed, so they cannot be used.
func TestAcceptJudgesTheCorpus(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)})
	i.AddProvider(sender, func(p *idp.ServiceProvider) { p.ACSURLs = []string{"https://sp1.example.com/saml/acs"} })
	i.AddProvider("https://sp2.example.com/metadata", func(p *idp.ServiceProvider) { p.Certs = pems(t, "sp2") })
	cases := corpus.Read(t)
	registration := func(c *corpus.Case) string { return fmt.Sprint(c.Certs, c.Signing) }
	slices.SortFunc(cases, func(a, b *corpus.Case) int { return cmp.Compare(registration(a), registration(b)) })
	registered, possible, judged := "", false, 0
	for _, c := range cases {
		if registered != registration(c) {
			registered = registration(c)
			_, err := i.Registry.Edit(t.Context(), sender, func(p *idp.ServiceProvider) error {
				p.Certs, p.SignRequests = pems(t, c.Certs...), c.Signing
				return nil
			}, sp.Options{AllowInsecureURL: true}, "test")
			possible = err == nil
		}
		if !possible {
			continue // no such registration is possible
		}
		msg, err := saml.Read(c.Inbound)
		if c.IsSOAP() {
			msg, err = saml.ReadSOAP(c.Inbound.Body)
		}
		if err != nil {
			continue // package saml's tests check these
		}
		judged++
		q, err := inbound.Accept(t.Context(), i.Registry, msg, kinds[c.Endpoint], inbound.Expectation{
			Now: c.Now, Destinations: []string{c.Destination, strings.TrimRight(c.Destination, "0123456789")},
		})
		verdict := "accepted"
		if refusal, ok := errors.AsType[*idp.Refusal](err); ok {
			verdict = "refused " + string(refusal.Code)
		}
		want := strings.Join(strings.Fields(c.Verdict)[:min(2, len(strings.Fields(c.Verdict)))], " ")
		if want == "accepted" && slices.Contains(byRegistration, verdict) || want == "refused "+string(idp.RefusedEncryptedID) {
			continue
		}
		if verdict != want {
			t.Errorf("%s: %s, want %s (%v)", c.Name, verdict, want, err)
		}
		if q.Cert == nil && (c.Endpoint != corpus.Auth || c.Signing == "required") && (q.Authn != nil || q.Logout != nil) {
			t.Errorf("%s: it was read without a signature", c.Name)
		}
	}
	if judged < 200 {
		t.Errorf("only %d messages were judged", judged)
	}
}

func pems(t *testing.T, names ...string) (certs []string) {
	for _, c := range corpus.Certs(t, names...) {
		certs = append(certs, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
	}
	return certs
}

// A name is decrypted only in a message whose signature was verified.
func TestOpenNameWantsASignature(t *testing.T) {
	t.Parallel()
	encrypted := 0
	for _, c := range corpus.Read(t) {
		if c.Endpoint == corpus.Auth || !strings.HasPrefix(c.Verdict, "accepted") {
			continue
		}
		msg, err := saml.Read(c.Inbound)
		if c.IsSOAP() {
			msg, err = saml.ReadSOAP(c.Inbound.Body)
		}
		if err != nil {
			t.Fatal(err)
		}
		q := inbound.Request{Kind: inbound.LogoutRequest}
		if err := q.Parse(msg.Root); err != nil || !q.Logout.IsEncrypted() {
			continue
		}
		encrypted++
		refusal, _ := errors.AsType[*idp.Refusal](q.OpenName(corpus.Key(t, "idp")))
		if refusal == nil || refusal.Code != idp.RefusedEncryptedID || q.Logout.NameID != nil {
			t.Errorf("%s: %v, name %v", c.Name, refusal, q.Logout.NameID)
		}
	}
	if encrypted == 0 {
		t.Error("no message with an encrypted name")
	}
}
