package inspect_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/idptest"
	"vernal/idp/inspect"
)

// hints returns all texts of a report that are not from the catalogues, one per line.
func hints(r *inspect.Report) string {
	var all []string
	for _, c := range r.Checks {
		all = append(all, c.Hints...)
		for _, s := range c.Suggestions {
			all = append(all, suggested(s))
		}
	}
	return strings.Join(all, "\n")
}

// suggested formats a suggestion for comparison.
func suggested(s idp.Suggestion) string {
	text := strings.Join(append([]string{string(s.Do)}, s.Subjects...), " ")
	for _, o := range s.Options {
		text += " " + o.Name + "=" + o.Value
	}
	return text
}

func TestHintShowsWhatValueDiffersIn(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 3, 10, 9, 0, 0, 0, time.UTC)
	i := idptest.New(t, idptest.Options{Now: now, Years: []idp.Year{"2026"}})
	a := i.AddProvider("https://a.example", func(p *idp.ServiceProvider) {
		p.ACSURLs = []string{"https://a.example/Saml/acs", "https://a.example:8443/x/"}
	})
	tests := []struct {
		name string
		url  string
		want string // in a hint
	}{
		{"ACS with a slash more", a.URL(&idptest.Request{ACS: "https://a.example/Saml/acs/"}), "a slash at its end that is not registered"},
		{"ACS with a slash less", a.URL(&idptest.Request{ACS: "https://a.example:8443/x"}), "no slash at its end"},
		{"ACS by http", a.URL(&idptest.Request{ACS: "http://a.example/Saml/acs"}), "scheme http instead of https"},
		{"ACS in another case", a.URL(&idptest.Request{ACS: "https://a.example/saml/acs"}), "path /saml/acs instead of /Saml/acs (upper and lower case count)"},
		{"ACS with a port", a.URL(&idptest.Request{ACS: "https://a.example:443/Saml/acs"}), "port 443 instead of none"},
		{"unregistered ACS", a.URL(&idptest.Request{ACS: "https://inner/Saml/acs"}), "registered: https://a.example/Saml/acs, https://a.example:8443/x/"},
		{"another year's Destination", strings.Replace(a.URL(&idptest.Request{Year: "2027"}), "auth2027?", "auth2026?", 1), "it names the URL of 2027, and the message was sent to that of 2026"},
		{"local time", a.URL(&idptest.Request{IssuedAt: now.Add(-5 * time.Hour)}), "5h0m0s is the distance of a time zone"},
		{"captured", a.URL(&idptest.Request{IssuedAt: now.Add(-20 * time.Minute)}), "inspect at=2027-03-10T08:40:00Z"},
		{"no such year", strings.Replace(a.URL(&idptest.Request{}), "auth2027?", "auth2019?", 1), "the preferred one first: 2027, 2026"},
		{"NameID", a.URL(&idptest.Request{Format: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"}), "sp.edit https://a.example name_id_format=emailAddress"},
		{"transient NameID", a.URL(&idptest.Request{Format: "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"}), "transient was asked for"},
		{"level", a.URL(&idptest.Request{ClassRefs: []string{"urn:acr.login.gov:verfied"}}), "did you mean urn:acr.login.gov:verified?"},
		{"unknown beside known", a.URL(&idptest.Request{ClassRefs: []string{"http://idmanagement.gov/ns/assurance/ial/1", "http://idmanagement.gov/ns/assurance/AAL/2"}}),
			"did you mean http://idmanagement.gov/ns/assurance/aal/2?"},
		{"level not allowed", a.URL(&idptest.Request{ClassRefs: []string{"urn:acr.login.gov:verified"}}), "sp.edit https://a.example ial="},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r := inspectText(t, inspector(i), tt.url, now); !strings.Contains(hints(r), tt.want) {
				t.Errorf("want %q in\n%s\n%+v", tt.want, hints(r), r.Checks)
			}
		})
	}
	stranger := *a
	stranger.EntityID = "https://a.example/"
	if got := hints(inspectText(t, inspector(i), stranger.URL(&idptest.Request{}), now)); !strings.Contains(got, "against https://a.example, which is registered: path / instead of none") &&
		!strings.Contains(got, "a slash at its end") {
		t.Errorf("unknown issuer: %s", got)
	}
}

func TestEveryFailedRuleIsReported(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 3, 10, 9, 0, 0, 0, time.UTC)
	i := idptest.New(t, idptest.Options{Now: now, Years: []idp.Year{"2026"}})
	a := i.AddProvider("https://a.example")
	address := strings.Replace(a.URL(&idptest.Request{IssuedAt: now.Add(-time.Hour)}), "auth2027?", "auth2026?", 1)
	got := codes(inspectText(t, inspector(i), address, now))
	if want := []idp.RefusalCode{idp.RefusedDestination, idp.RefusedIssueInstantOld}; !slices.Equal(got, want) {
		t.Errorf("refused with %v, want %v", got, want)
	}
}

var upperHex = regexp.MustCompile(`%[0-9A-F]{2}`)

// resign signs a text other than the query that is sent.
func resign(t *testing.T, address string, key *rsa.PrivateKey, text func(query string) string) string {
	t.Helper()
	before, _, _ := strings.Cut(address, "&Signature=")
	_, query, _ := strings.Cut(before, "?")
	sum := sha256.Sum256([]byte(text(query)))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return before + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
}

// A hint for a signature that does not verify says which text it covers and whose key made it.
func TestHintTellsWhatSignatureCovers(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	b := i.AddProvider("https://b.example", func(p *idp.ServiceProvider) { p.Certs = []string{certs.EncodePEM(i.NewOtherCert())} })
	address := a.URL(&idptest.Request{RelayState: "a b"})
	ours, ok := i.Years.Lookup(i.Year(), i.Clock.Now())
	if !ok {
		t.Fatal("no year")
	}
	resigned := func(text func(string) string) string { return resign(t, address, a.Key, text) }
	tests := []struct {
		name string
		text string
		code idp.RefusalCode
		want string // in a hint
	}{
		{"lower-case encoding", resigned(func(q string) string { return upperHex.ReplaceAllStringFunc(q, strings.ToLower) }),
			idp.RefusedSignature, "with lower-case percent-encoding (%2b), in the order of the standard"},
		{"no encoding", resigned(func(q string) string {
			plain, _ := url.QueryUnescape(q)
			return plain
		}), idp.RefusedSignature, "not percent-encoded at all"},
		{"RelayState left out", resigned(func(q string) string { return strings.Replace(q, "&RelayState=a+b", "", 1) }), idp.RefusedSignature, "without RelayState"},
		{"RelayState last", resigned(func(q string) string { return strings.Replace(q, "&RelayState=a+b", "", 1) + "&RelayState=a+b" }),
			idp.RefusedSignature, "with RelayState last"},
		{"another provider's key", a.URL(&idptest.Request{Key: idptest.OtherKey()}), idp.RefusedSignature,
			"the certificate of another service provider verifies it, " + b.EntityID},
		{"no SigAlg", strings.Replace(address, "&SigAlg=", "&Other=", 1), idp.RefusedSignatureParams, "Signature comes without SigAlg"},
		{"no Signature", strings.Replace(address, "&Signature=", "&Other=", 1), idp.RefusedSignatureParams, "SigAlg comes without Signature"},
		{"changed", "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(changed(t, a)))), idp.RefusedDigest,
			"with the key of the registered certificate"},
	}
	if key, ok := ours.Key.Signer.(*rsa.PrivateKey); ok {
		tests = append(tests, struct {
			name string
			text string
			code idp.RefusalCode
			want string
		}{"our own key", a.URL(&idptest.Request{Key: key}), idp.RefusedSignature, "our own certificate verifies it"})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := inspectText(t, inspector(i), tt.text, i.Clock.Now())
			if got := codes(r); !slices.Equal(got, []idp.RefusalCode{tt.code}) {
				t.Errorf("refused with %v, want %v", got, tt.code)
			}
			if !strings.Contains(hints(r), tt.want) {
				t.Errorf("want %q in\n%s", tt.want, hints(r))
			}
			if r.SP != "https://a.example" {
				t.Errorf("the rest is not looked at: %+v", r)
			}
		})
	}
}

// changed returns a signed AuthnRequest that was indented afterwards.
func changed(t *testing.T, a *idptest.Provider) string {
	t.Helper()
	xml, err := base64.StdEncoding.DecodeString(a.Form(&idptest.Request{}).Get("SAMLRequest"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(xml), "</samlp:AuthnRequest>", "\n</samlp:AuthnRequest>", 1)
}

func TestHintNamesCarriedCertificate(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	// The same service provider, with an unregistered key.
	next := *a
	next.Key, next.Cert = idptest.OtherKey(), i.NewOtherCert()
	r := inspectText(t, inspector(i), next.Form(&idptest.Request{}).Encode(), i.Clock.Now())
	want := "if the contact of the service provider confirms its SHA-256, " + certs.CertSHA256(next.Cert)
	if !slices.Equal(codes(r), []idp.RefusalCode{idp.RefusedSignature}) || !strings.Contains(hints(r), want) {
		t.Errorf("refused with %v:\n%s", codes(r), hints(r))
	}
	der := base64.StdEncoding.EncodeToString
	xml, _ := base64.StdEncoding.DecodeString(next.Form(&idptest.Request{}).Get("SAMLRequest"))
	forged := strings.Replace(string(xml), der(next.Cert.Raw), der(a.Cert.Raw), 1)
	if r := inspectText(t, inspector(i), forged, i.Clock.Now()); !strings.Contains(hints(r), "was not signed with its key") {
		t.Errorf("the registered certificate with another key:\n%s", hints(r))
	}
}

func TestDropText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		dropped assurance.DroppedAttribute
		want    string
	}{
		{"not registered", assurance.DroppedAttribute{Name: "ssn", Reason: assurance.DropNotRegistered}, "not registered for it"},
		{"level", assurance.DroppedAttribute{Name: "ssn", Reason: assurance.DropLevel}, "urn:acr.login.gov:verified"},
		{"no source", assurance.DroppedAttribute{Name: "x509_subject", Reason: assurance.DropNoSource}, "no value"},
		{"misspelt", assurance.DroppedAttribute{Name: "firstname", Reason: assurance.DropUnknown}, "did you mean first_name?"},
		{"unlike any", assurance.DroppedAttribute{Name: "favourite_colour", Reason: assurance.DropUnknown}, "unknown attribute"},
	}
	for _, tt := range tests {
		if got := inspect.ExplainDrop(tt.dropped); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		next, ok := inspect.SuggestForDrop(tt.dropped, "https://a.example")
		if want := tt.dropped.Reason == assurance.DropNotRegistered; ok != want || ok && suggested(next) != "sp.edit https://a.example attribute=ssn" {
			t.Errorf("%s: suggests %q, %v", tt.name, suggested(next), ok)
		}
	}
}
