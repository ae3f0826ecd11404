package sp_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/sp"
)

func TestProviderURLMustBeSecure(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, address string
		baseIsHTTP    bool
		allow         bool
		want          string // part of the problem; "" for none
	}{
		{name: "https", address: "https://sp.example.gov/acs"},
		{name: "https with port and query", address: "https://sp.example.gov:8443/acs?a=b&c=d"},
		{name: "https by number", address: "https://[2001:db8::1]:8443/acs"},
		{name: "http on localhost", address: "http://localhost:8000/acs"},
		{name: "http under localhost", address: "http://a.localhost:8000/acs"},
		{name: "http on 127.0.0.1", address: "http://127.0.0.1/acs"},
		{name: "http on ::1", address: "http://[::1]:80/acs"},
		{name: "http at another host", address: "http://sp.example.gov/acs", want: "is http"},
		{name: "http that looks like loopback", address: "http://localhost.example.gov/acs", want: "is http"},
		{name: "http that looks like a number", address: "http://127.0.0.1.example.gov/acs", want: "is http"},
		{name: "http when we are http", address: "http://sp.example.gov/acs", baseIsHTTP: true},
		{name: "http with the operator's word", address: "http://sp.example.gov/acs", allow: true},
		{name: "script", address: "javascript:alert(1)", allow: true, want: "must be https"},
		{name: "script in disguise", address: "JavaScript://sp.example.gov/%0aalert(1)", allow: true, want: "must be https"},
		{name: "data", address: "data:text/html,x", allow: true, want: "must be https"},
		{name: "user name", address: "https://sp.example.gov@evil.example/acs", want: "user name"},
		{name: "fragment", address: "https://sp.example.gov/acs#x", want: "fragment"},
		{name: "empty fragment", address: "https://sp.example.gov/acs#", want: "fragment"},
		{name: "no scheme", address: "sp.example.gov/acs", want: "no scheme"},
		{name: "no host", address: "https:///acs", want: "has no host"},
		{name: "opaque", address: "https:sp.example.gov", want: "has no host"},
		{name: "space", address: "https://sp.example.gov/a cs", want: "must escape"},
		{name: "line feed", address: "https://sp.example.gov/a\ncs", want: "must escape"},
		{name: "backslash", address: `https://sp.example.gov\@evil.example/`, want: "must escape"},
		{name: "quote", address: `https://sp.example.gov/"x`, want: "must escape"},
		{name: "semicolon in the host", address: "https://sp.example.gov;script-src/acs", want: "host"},
		{name: "comma in the host", address: "https://a,b.example/acs", want: "host"},
		{name: "star in the host", address: "https://*.example.gov/acs", want: "host"},
		{name: "empty port", address: "https://sp.example.gov:/acs", want: "host"},
		{name: "too long", address: "https://sp.example.gov/" + strings.Repeat("a", 2048), want: "longer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, field := range []string{"acs_urls", "logout_url", "redirect_uris", "return_to_sp_url", "sp_initiated_login_url"} {
				p := newProvider(t, "https://sp.example.gov/")
				setAddress(p, field, tt.address)
				problems := sp.Validate(p, tt.baseIsHTTP, tt.allow)
				if tt.want == "" {
					if len(problems) > 0 {
						t.Errorf("%s: %v", field, problems)
					}
					continue
				}
				if len(problems) != 1 || problems[0].Field != field || !strings.Contains(problems[0].Text, tt.want) {
					t.Errorf("%s: got %v, want one problem with %q", field, problems, tt.want)
				}
			}
		})
	}
}

func setAddress(p *idp.ServiceProvider, field, address string) {
	switch field {
	case "acs_urls":
		p.ACSURLs = []string{address}
	case "logout_url":
		p.LogoutURL = address
	case "redirect_uris":
		p.RedirectURIs = []string{address}
	case "return_to_sp_url":
		p.ReturnToSPURL = address
	case "sp_initiated_login_url":
		p.SPInitiatedLoginURL = address
	}
}

func TestValidateNamesFaultyField(t *testing.T) {
	t.Parallel()
	pemOf := func(t *testing.T, key string) string {
		switch key {
		case "small":
			return certs.EncodePEM(newCert(t, smallKey(), "small", testTime.AddDate(1, 0, 0)))
		case "ec":
			return certs.EncodePEM(newCert(t, ecKey(), "ec", testTime.AddDate(1, 0, 0)))
		}
		return certs.EncodePEM(goodCert(t))
	}
	tests := []struct {
		name   string
		change func(*testing.T, *idp.ServiceProvider)
		want   string // "field: part of the text"; "" for none
	}{
		{"nothing wrong", func(*testing.T, *idp.ServiceProvider) {}, ""},
		{"no entity ID", func(_ *testing.T, p *idp.ServiceProvider) { p.EntityID = "" }, "entity_id: is missing"},
		{"space in the entity ID", func(_ *testing.T, p *idp.ServiceProvider) { p.EntityID = "a b" }, "entity_id: must not contain spaces"},
		{"long entity ID", func(_ *testing.T, p *idp.ServiceProvider) { p.EntityID = idp.EntityID(strings.Repeat("a", 1025)) }, "entity_id: is longer"},
		{"URN as entity ID", func(_ *testing.T, p *idp.ServiceProvider) { p.EntityID = "urn:gov:app" }, ""},
		{"no name", func(_ *testing.T, p *idp.ServiceProvider) { p.Name = " " }, "name: is missing"},
		{"control character in the name", func(_ *testing.T, p *idp.ServiceProvider) { p.Name = "a\x1b[2J" }, "name: contains control"},
		{"direction override in the name", func(_ *testing.T, p *idp.ServiceProvider) { p.Name = "Bank\u202e" }, "name: contains control"},
		{"entity ID that XML cannot carry", func(_ *testing.T, p *idp.ServiceProvider) { p.EntityID = "https://sp.example/\uffff" }, "entity_id: must not contain"},
		{"no ACS", func(_ *testing.T, p *idp.ServiceProvider) { p.ACSURLs = nil }, "acs_urls: is empty"},
		{"ACS twice", func(_ *testing.T, p *idp.ServiceProvider) { p.ACSURLs = append(p.ACSURLs, p.ACSURLs[0]) }, "acs_urls: occurs twice"},
		{"indexes that do not fit", func(_ *testing.T, p *idp.ServiceProvider) { p.ACSIndexes = []int{1, 2} }, "acs_indexes: has 2 entries"},
		{"index out of range", func(_ *testing.T, p *idp.ServiceProvider) { p.ACSIndexes = []int{65536} }, "acs_indexes: is not between"},
		{"no certificate", func(_ *testing.T, p *idp.ServiceProvider) { p.Certs = nil }, "certs: is empty"},
		{"no certificate, unsigned", func(_ *testing.T, p *idp.ServiceProvider) { p.Certs, p.SignRequests = nil, "optional" }, ""},
		{"nothing to encrypt to", func(_ *testing.T, p *idp.ServiceProvider) {
			p.Certs, p.SignRequests, p.Encryption = nil, "optional", idp.EncryptionCBC
		}, "encryption_certs: is empty"},
		{"small key", func(t *testing.T, p *idp.ServiceProvider) { p.Certs = []string{pemOf(t, "small")} }, "certs: its RSA key has 1024 bits"},
		{"elliptic key", func(t *testing.T, p *idp.ServiceProvider) { p.Certs = []string{pemOf(t, "ec")} }, "certs: its key is ECDSA"},
		{"small encryption key", func(t *testing.T, p *idp.ServiceProvider) { p.EncryptionCerts = []string{pemOf(t, "small")} }, "encryption_certs: its RSA key"},
		{"expired certificate is allowed", func(t *testing.T, p *idp.ServiceProvider) {
			p.Certs = []string{certs.EncodePEM(newCert(t, rsaKey(), "old", testTime.AddDate(-1, 0, 0)))}
		}, ""},
		{"broken certificate", func(_ *testing.T, p *idp.ServiceProvider) { p.Certs = []string{"MIIB"} }, "certs: "},
		{"sign_requests", func(_ *testing.T, p *idp.ServiceProvider) { p.SignRequests = "never" }, "sign_requests: is not one of required, optional"},
		{"compat", func(_ *testing.T, p *idp.ServiceProvider) { p.Compat = "login" }, "compat: is not one of none, login.gov"},
		{"compat login.gov", func(_ *testing.T, p *idp.ServiceProvider) { p.Compat = idp.CompatLoginGov }, ""},
		{"compat login.gov without signatures", func(_ *testing.T, p *idp.ServiceProvider) {
			p.Compat, p.SignRequests = idp.CompatLoginGov, idp.SignRequestsOptional
		}, "compat: requires sign_requests required"},
		{"no compat without signatures", func(_ *testing.T, p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsOptional }, ""},
		{"encryption", func(_ *testing.T, p *idp.ServiceProvider) { p.Encryption = "rot13" }, "encryption: is not one of"},
		{"empty digest", func(_ *testing.T, p *idp.ServiceProvider) { p.EncryptionDigest = "" }, "encryption_digest: is not one of"},
		{"ial", func(_ *testing.T, p *idp.ServiceProvider) { p.IAL = "3" }, "ial: is not one of"},
		{"aal", func(_ *testing.T, p *idp.ServiceProvider) { p.AAL = "9" }, "aal: is not one of"},
		{"attribute", func(_ *testing.T, p *idp.ServiceProvider) { p.Attributes = []string{"shoe_size"} }, "attributes: is not one of"},
		{"no attribute", func(_ *testing.T, p *idp.ServiceProvider) { p.Attributes = nil }, ""},
		{"no NameID format", func(_ *testing.T, p *idp.ServiceProvider) { p.NameIDFormats = nil }, "name_id_formats: is empty"},
		{"NameID format", func(_ *testing.T, p *idp.ServiceProvider) { p.NameIDFormats = []string{"transient"} }, "name_id_formats: is not one of"},
		{"preview", func(_ *testing.T, p *idp.ServiceProvider) { p.Preview = "27" }, "preview: is not a year"},
		{"state", func(_ *testing.T, p *idp.ServiceProvider) { p.State = "" }, "state: is not one of"},
		{"language", func(_ *testing.T, p *idp.ServiceProvider) { p.HelpText = map[string]string{"de": "x"} }, "help_text: is not one of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t, "https://sp.example.gov/")
			tt.change(t, p)
			problems := sp.Validate(p, false, false)
			if tt.want == "" {
				if len(problems) > 0 {
					t.Errorf("got %v", problems)
				}
				return
			}
			field, text, _ := strings.Cut(tt.want, ": ")
			if len(problems) != 1 || problems[0].Field != field || !strings.Contains(problems[0].Text, text) {
				t.Errorf("got %v, want %s", problems, tt.want)
			}
		})
	}
}

func TestValidateTellsAllAtOnce(t *testing.T) {
	t.Parallel()
	problems := sp.Validate(&idp.ServiceProvider{SignRequests: "required", Encryption: "none"}, false, false)
	if len(problems) < 8 {
		t.Errorf("an empty registration has %d problems: %v", len(problems), problems)
	}
}

func TestWarningsReportCertificateDates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  time.Time
		want string
	}{
		{"long to go", testTime.AddDate(0, 6, 0), ""},
		{"soon", testTime.AddDate(0, 0, 10), "expires on 2031-05-27"},
		{"past", testTime.AddDate(0, 0, -10), "expired on 2031-05-07"},
		{"not begun", testTime.AddDate(2, 0, 0), "not valid before 2032-05-17"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t, "https://sp.example.gov/")
			p.Certs = []string{certs.EncodePEM(newCert(t, rsaKey(), "sp", tt.end))}
			warnings, _ := sp.ListWarnings(p, testTime)
			got := strings.Join(warnings, "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestRegistrableAttributesAreReleasable compares the attributes that can be registered with
// those that can be released.
func TestRegistrableAttributesAreReleasable(t *testing.T) {
	t.Parallel()
	i := slices.IndexFunc(sp.Fields(), func(f sp.Field) bool { return f.Name == "attributes" })
	names := sp.Fields()[i].Values
	for _, name := range names {
		if !assurance.IsKnown(name) {
			t.Errorf("%s can be registered, but is unknown", name)
		}
	}
	for _, row := range assurance.Table() {
		if !slices.Contains(names, row.Name) {
			t.Errorf("%s can be released, but not registered", row.Name)
		}
	}
}
