package sp_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/sp"
	"vernal/idp/xmldsig"
	"vernal/idp/xmlenc"
)

// spMetadata returns a document with the given inner elements of its role.
func spMetadata(id, inner string) sp.Document {
	return sp.Document{Data: []byte(`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="` + id + `">
<SPSSODescriptor AuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` + inner + `</SPSSODescriptor></EntityDescriptor>`)}
}

func acsElement(url, index string) string {
	return `<AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="` + url + `" index="` + index + `"/>`
}

const sloElement = `<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="http://sp.example.gov/slo"/>`

// unsigned allows a registration without a certificate.
var unsigned = values{"sign_requests": {"optional"}, "name": {"Permits"}}

// TestAddWithBrokenParts registers the usable parts of metadata, by the rules of
// the registry.
func TestAddWithBrokenParts(t *testing.T) {
	t.Parallel()
	long := "https://sp.example.gov/" + strings.Repeat("x", idp.MaxName)
	const a, b = "https://sp.example.gov/a", "https://sp.example.gov/b"
	tests := []struct {
		name    string
		doc     sp.Document
		set     values
		options sp.Options
		check   func(p *idp.ServiceProvider) bool // nil: refused
		field   string                            // of the problem
		option  string
	}{
		{name: "one index for two", doc: spMetadata("urn:a", acsElement(a, "1")+acsElement(b, "1")), check: func(p *idp.ServiceProvider) bool {
			return slices.Equal(p.ACSURLs, []string{a, b}) && !slices.Contains(p.ACSIndexes, 1)
		}},
		{name: "two indexes for one URL", doc: spMetadata("urn:a", acsElement(a, "0")+acsElement(a, "1")), check: func(p *idp.ServiceProvider) bool {
			return slices.Equal(p.ACSURLs, []string{a, a}) && slices.Equal(p.ACSIndexes, []int{0, 1})
		}},
		{name: "http beside https", doc: spMetadata("urn:a", acsElement("http://sp.example.gov/a", "0")+acsElement(b, "1")), check: func(p *idp.ServiceProvider) bool {
			return slices.Equal(p.ACSURLs, []string{b}) && slices.Equal(p.ACSIndexes, []int{1})
		}},
		{name: "http beside https, allowed", doc: spMetadata("urn:a", acsElement("http://sp.example.gov/a", "0")+acsElement(b, "1")), options: sp.Options{AllowInsecureURL: true},
			check: func(p *idp.ServiceProvider) bool { return len(p.ACSURLs) == 2 }},
		{name: "fragment beside a good one", doc: spMetadata("urn:a", acsElement(a+"#x", "0")+acsElement(b, "1")), check: func(p *idp.ServiceProvider) bool { return slices.Equal(p.ACSURLs, []string{b}) }},
		{name: "http alone", doc: spMetadata("urn:a", acsElement("http://sp.example.gov/a", "0")), field: "acs_urls", option: string(sp.PermitInsecureURL)},
		{name: "logout by http", doc: spMetadata("urn:a", sloElement+acsElement(a, "0")), check: func(p *idp.ServiceProvider) bool { return p.LogoutURL == "" }},
		{name: "long entity ID", doc: spMetadata(long, acsElement(a, "0")), set: values{"sign_requests": {"optional"}}, check: func(p *idp.ServiceProvider) bool { return p.Name == "sp.example.gov" }},
		{name: "many ACS", doc: spMetadata("urn:a", strings.Repeat(acsElement(a, "0"), 3)+manyACS(idp.MaxList+5)), check: func(p *idp.ServiceProvider) bool { return len(p.ACSURLs) == idp.MaxList }},
		{name: "no ACS", doc: spMetadata("urn:a", ""), field: "metadata", option: "acs_url"},
		{name: "no usable encryption key", doc: spMetadata("urn:a", `<KeyDescriptor use="encryption"/>`+acsElement(a, "0")), field: "metadata", option: "encryption"},
		{name: "no usable encryption key, in the clear", doc: spMetadata("urn:a", `<KeyDescriptor use="encryption"/>`+acsElement(a, "0")),
			set: values{"sign_requests": {"optional"}, "encryption": {"none"}}, check: func(p *idp.ServiceProvider) bool { return p.Encryption == idp.EncryptionNone }},
		{name: "no usable signing key", doc: spMetadata("urn:a", `<KeyDescriptor/>`+acsElement(a, "0")), set: values{"name": {"A"}}, field: "metadata", option: "cert"},
		{name: "no ACS, given by the operator", doc: spMetadata("urn:a", ""), set: values{"sign_requests": {"optional"}, "acs_urls": {a}}, check: func(p *idp.ServiceProvider) bool { return slices.Equal(p.ACSURLs, []string{a}) }},
		{name: "expired, from a file", doc: sp.Document{Data: []byte(strings.Replace(string(spMetadata("urn:a", acsElement(a, "0")).Data), "entityID", `validUntil="2020-01-01T00:00:00Z" entityID`, 1))}, check: func(*idp.ServiceProvider) bool { return true }},
		{name: "expired, from a URL", doc: sp.Document{Fetched: true, Data: []byte(strings.Replace(string(spMetadata("urn:a", acsElement(a, "0")).Data), "entityID", `validUntil="2020-01-01T00:00:00Z" entityID`, 1))}, field: "metadata"},
		{name: "empty file", doc: sp.Document{Data: []byte{}}, field: "metadata"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, _ := newRegistry(t)
			set := tt.set
			if set == nil {
				set = unsigned
			}
			c, err := r.AddEdit(t.Context(), "", tt.doc, sp.Edit{Set: set}, tt.options, "test")
			if tt.check == nil {
				var invalid *sp.InvalidError
				if !errors.As(err, &invalid) || len(invalid.Problems) != 1 || invalid.Problems[0].Field != tt.field || invalid.Problems[0].Option.Name != tt.option {
					t.Fatalf("got %v, want one problem of %s", err, tt.field)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !tt.check(c.Provider) {
				t.Errorf("registered %+v", c.Provider)
			}
			if p, err := r.Lookup(t.Context(), c.Provider.EntityID); err != nil || len(p.ACSURLs) != len(c.Provider.ACSURLs) {
				t.Errorf("look-up: %v", err)
			}
		})
	}
}

func manyACS(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(acsElement("https://sp.example.gov/"+strings.Repeat("a", i+1), ""))
	}
	return b.String()
}

// An http URL that was allowed before stays when metadata is read again.
func TestEditKeepsInsecureURL(t *testing.T) {
	t.Parallel()
	r, _ := newRegistry(t)
	doc := spMetadata("urn:a", acsElement("https://sp.example.gov/a", "0")+acsElement("http://sp.example.gov/b", "1"))
	if _, err := r.AddEdit(t.Context(), "", doc, sp.Edit{Set: unsigned}, sp.Options{AllowInsecureURL: true}, "test"); err != nil {
		t.Fatal(err)
	}
	c, err := r.ApplyEdit(t.Context(), "urn:a", doc, sp.Edit{}, sp.Options{}, "test")
	if err != nil || len(c.Provider.ACSURLs) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := r.ApplyEdit(t.Context(), "urn:b", doc, sp.Edit{}, sp.Options{}, "test"); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("not registered: %v", err)
	}
}

// An index of two URLs is refused. Each index of a URL with several selects it, and removing
// the URL removes all of them.
func TestAmbiguousACSIndexIsRefused(t *testing.T) {
	t.Parallel()
	const a, b = "https://sp.example.gov/a", "https://sp.example.gov/b"
	r, _ := newRegistry(t)
	c, err := r.AddEdit(t.Context(), "", spMetadata("urn:a", acsElement(a, "3")+acsElement(b, "3")+acsElement(a, "4")), sp.Edit{Set: unsigned}, sp.Options{}, "test")
	if err != nil {
		t.Fatal(err)
	}
	p, err := sp.Parse(c.Provider)
	if err != nil {
		t.Fatal(err)
	}
	var refusal *idp.Refusal
	if _, err := p.ChooseACS("", false, 3, true); !errors.As(err, &refusal) || refusal.Code != idp.RefusedACSIndex {
		t.Errorf("the index of two: %v", err)
	}
	for index, want := range map[int]string{4: a} {
		if got, err := p.ChooseACS("", false, index, true); err != nil || got != want {
			t.Errorf("index %d: %q, %v", index, got, err)
		}
	}
	for _, url := range []string{a, b} {
		if got, err := p.ChooseACS(url, true, 0, false); err != nil || got != url {
			t.Errorf("%s: %q, %v", url, got, err)
		}
	}
	// An edit of something else changes nothing, one of the URL all of it.
	if c, err = r.ApplyEdit(t.Context(), "urn:a", sp.Document{}, sp.Edit{Set: values{"name": {"B"}}}, sp.Options{}, "test"); err != nil || len(c.Provider.ACSURLs) != 3 {
		t.Fatalf("%+v, %v", c, err)
	}
	if c, err = r.ApplyEdit(t.Context(), "urn:a", sp.Document{}, sp.Edit{Remove: values{"acs_urls": {a}}}, sp.Options{}, "test"); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Provider.ACSURLs, []string{b}) || len(c.Provider.ACSIndexes) != 1 {
		t.Errorf("%v, %v", c.Provider.ACSURLs, c.Provider.ACSIndexes)
	}
}

// A missing name is noted once, whatever the entity ID looks like.
func TestMissingNameIsNotedOnce(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"urn:a", "https://sp.example.gov/" + strings.Repeat("x", 200), strings.Repeat("é", 150)} {
		r, _ := newRegistry(t)
		named, err := r.AddEdit(t.Context(), "", spMetadata(id, acsElement("https://sp.example.gov/a", "0")), sp.Edit{Set: unsigned}, sp.Options{}, "test")
		if err != nil {
			t.Fatal(err)
		}
		bare, err := r.AddEdit(t.Context(), "", spMetadata(id, acsElement("https://sp.example.gov/a", "0")), sp.Edit{Set: values{"sign_requests": {"optional"}}}, sp.Options{Replace: true}, "test")
		if err != nil {
			t.Fatal(err)
		}
		if len(bare.Warnings) != len(named.Warnings)+1 {
			t.Errorf("%q: %d more notes: %q", id, len(bare.Warnings)-len(named.Warnings), bare.Warnings)
		}
	}
}

func TestRecipientIsChosenAtUse(t *testing.T) {
	t.Parallel()
	old := newCert(t, rsaKey(), "old", testTime.AddDate(0, 0, 10))
	next := newCert(t, rsaKey(), "next", testTime.AddDate(1, 0, 5)) // begins in five days
	request := goodCert(t)
	other := newCert(t, rsaKey(), "other", testTime.AddDate(0, 7, 0))
	p := newProvider(t, entity)
	p.Encryption = idp.EncryptionCBC
	parse := func(encryption, request []*x509.Certificate) *sp.Provider {
		p := *p
		p.Certs, p.EncryptionCerts = nil, nil
		for _, c := range encryption {
			p.EncryptionCerts = append(p.EncryptionCerts, certs.EncodePEM(c))
		}
		for _, c := range request {
			p.Certs = append(p.Certs, certs.EncodePEM(c))
		}
		out, err := sp.Parse(&p)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	both := parse([]*x509.Certificate{old, next}, []*x509.Certificate{request})
	for days, want := range map[int]*x509.Certificate{0: old, 4: old, 6: next, 30: next, 400: next} {
		if got, err := both.ChooseRecipient(request, testTime.AddDate(0, 0, days)); err != nil || !got.Equal(want) {
			t.Errorf("after %d days: %v, %v; want %s", days, got, err, want.Subject)
		}
	}
	if got, err := parse(nil, []*x509.Certificate{request, other}).ChooseRecipient(other, testTime); err != nil || !got.Equal(other) {
		t.Errorf("without one: %v, %v; want the one that verified", got, err)
	}
	if got, err := parse(nil, []*x509.Certificate{request}).ChooseRecipient(nil, testTime); err != nil || !got.Equal(request) {
		t.Errorf("without one, unsigned: %v, %v", got, err)
	}
	var refusal *idp.Refusal
	if _, err := parse(nil, []*x509.Certificate{request, other}).ChooseRecipient(nil, testTime); !errors.As(err, &refusal) || refusal.Code != idp.RefusedNoCertificate {
		t.Errorf("one of two, unsigned: %v", err)
	}
}

// TestWarningsNameUsedEncryptionCert checks that warnings do not describe a certificate that
// is never chosen as if it were used, and name the one that is chosen.
func TestWarningsNameUsedEncryptionCert(t *testing.T) {
	t.Parallel()
	ended := newCert(t, rsaKey(), "ended", testTime.AddDate(0, 0, -1))
	good := newCert(t, rsaKey(), "good", testTime.AddDate(0, 6, 0))
	soon := newCert(t, rsaKey(), "soon", testTime.AddDate(0, 0, 20))
	newest := newCert(t, rsaKey(), "newest", testTime.AddDate(0, 11, 0))
	tests := []struct {
		name string
		list []*x509.Certificate
		want int
		used *x509.Certificate // named in the last one
	}{
		{"good", []*x509.Certificate{good}, 0, nil},
		{"ended", []*x509.Certificate{ended}, 1, nil},
		{"ended beside good", []*x509.Certificate{ended, good}, 2, good},
		{"soon beside the newest", []*x509.Certificate{soon, newest}, 1, newest},
		{"soon beside ended", []*x509.Certificate{soon, ended}, 3, soon},
	}
	for _, tt := range tests {
		p := newProvider(t, entity)
		for _, c := range tt.list {
			p.EncryptionCerts = append(p.EncryptionCerts, certs.EncodePEM(c))
		}
		got, next := sp.ListWarnings(p, testTime)
		if len(got) != tt.want || tt.used != nil && !strings.Contains(got[len(got)-1], certs.CertSHA256(tt.used)[:16]) {
			t.Errorf("%s: %q", tt.name, got)
		}
		// An unused certificate can be removed.
		var want []idp.Suggestion
		if len(tt.list) > 1 && slices.Contains(tt.list, ended) {
			want = append(want, idp.Suggest(idp.DoSPEdit, string(entity)).WithOption(idp.OptionRemoveEncryptionCert, certs.CertSHA256(ended)[:16]).WithLabel(idp.LabelRemoveCertificate))
		}
		if diff := cmp.Diff(want, next); diff != "" {
			t.Errorf("%s: suggestions (-want +got):\n%s", tt.name, diff)
		}
	}
}

// A certificate that is read only for its key works like a complete one: requests verify with
// it, and assertions are encrypted to it.
func TestOddCertificateVerifiesAndEncrypts(t *testing.T) {
	t.Parallel()
	whole := newCert(t, rsaKey(), "sp", testTime.AddDate(0, 6, 0))
	serial := append([]byte{2, byte(len(whole.SerialNumber.Bytes()))}, whole.SerialNumber.Bytes()...)
	negative := slices.Clone(serial)
	negative[2] |= 0x80
	der := bytes.Replace(whole.Raw, serial, negative, 1)
	if _, err := x509.ParseCertificate(der); err == nil {
		t.Fatal("crypto/x509 takes it; the test is not what it says")
	}
	r, _ := newRegistry(t)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	c, err := r.AddEdit(t.Context(), "urn:odd", sp.Document{}, sp.Edit{Set: values{
		"name": {"Odd"}, "acs_urls": {"https://sp.example.gov/acs"}, "encryption": {idp.EncryptionCBC}, "certs": {text}, "encryption_certs": {text},
	}}, sp.Options{}, "test")
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Lookup(t.Context(), c.Provider.EntityID)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("SAMLRequest=x"))
	signature, err := rsaKey().Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	by, err := xmldsig.VerifyDetached([]byte("SAMLRequest=x"), xmldsig.AlgorithmRSASHA256, signature, p.RequestCerts)
	if err != nil || p.CertSHA256(by) == "" {
		t.Errorf("a request does not verify: %v", err)
	}
	to, err := p.ChooseRecipient(by, testTime)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := xmlenc.New(to, p.Encryption, p.EncryptionDigest); err != nil || !bytes.Equal(to.Raw, der) {
		t.Errorf("nothing can be encrypted to it: %v", err)
	}
	if w, _ := sp.ListWarnings(c.Provider, testTime.AddDate(1, 0, 0)); len(w) != 2 {
		t.Errorf("its end is not warned of: %q", w)
	}
	// It is removed by its file and by its fingerprint.
	if _, err := r.ApplyEdit(t.Context(), "urn:odd", sp.Document{}, sp.Edit{Remove: values{"encryption_certs": {text}}}, sp.Options{}, "test"); err != nil {
		t.Error(err)
	}
}
