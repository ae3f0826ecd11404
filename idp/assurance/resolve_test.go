package assurance

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

const (
	ns  = "http://idmanagement.gov/ns/assurance/"
	acr = "urn:acr.login.gov:"
	duo = "urn:gov:gsa:ac:classes:sp:PasswordProtectedTransport:duo"
	ppt = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
	req = "http://idmanagement.gov/ns/requested_attributes?ReqAttr="
)

// sp is a registration that may ask up to the level.
func sp(ial string, change ...func(*idp.ServiceProvider)) *idp.ServiceProvider {
	p := &idp.ServiceProvider{
		IAL: ial, AAL: idp.AALDefault, Attributes: []string{"email"}, EmailAttribute: idp.EmailAttributePlain,
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func withAAL(aal string) func(*idp.ServiceProvider) {
	return func(p *idp.ServiceProvider) { p.AAL = aal }
}

func withIALMax(p *idp.ServiceProvider) { p.AllowIALMax = true }

// Every value, alone, from a provider that may ask anything:
// what it demands and what attribute aal then says. The Response states the
// value itself.
func TestValues(t *testing.T) {
	t.Parallel()
	all := sp(idp.IALFacialMatch, withIALMax)
	tests := []struct {
		value string
		ial   IAL
		aal   AAL
		says  string // attribute aal
	}{
		{acr + "auth-only", AuthOnly, AALDefault, duo},
		{ns + "ial/1", AuthOnly, AALDefault, duo},
		{ns + "loa/1", AuthOnly, AALDefault, duo},
		{acr + "verified", Verified, AAL2, duo},
		{ns + "ial/2", Verified, AAL2, duo},
		{ns + "loa/3", Verified, AAL2, duo},
		{acr + "verified-facial-match-required", FacialRequired, AAL2, duo},
		{ns + "ial/2?bio=required", FacialRequired, AAL2, duo},
		{acr + "verified-facial-match-preferred", FacialPreferred, AAL2, duo},
		{ns + "ial/2?bio=preferred", FacialPreferred, AAL2, duo},
		{ns + "ial/2?strict=true", Verified, AAL2, duo}, // the registration's level: it means nothing
		{ns + "ial/0", IALMax, AAL2, duo},
		// No identity level asked: the registration's, which needs AAL2.
		{duo, Verified, AAL2, duo},
		{ns + "aal/2", Verified, AAL2, ns + "aal/2"},
		{ns + "aal/2?phishing_resistant=true", Verified, AALPhishingResistant, ns + "aal/2"},
		{ns + "aal/2?hspd12=true", Verified, AALHSPD12, ns + "aal/2"},
		{ns + "aal/3", Verified, AALPhishingResistant, ns + "aal/3"},
		{ns + "aal/3?hspd12=true", Verified, AALHSPD12, ns + "aal/3"},
		// What libraries send unasked.
		{"urn:oasis:names:tc:SAML:2.0:ac:classes:Password", Verified, AAL2, duo},
		{ppt, Verified, AAL2, duo},
		{"urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified", Verified, AAL2, duo},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			t.Parallel()
			for _, comparison := range []string{"", "exact", "maximum", "better"} {
				r, err := Resolve(Ask{comparison, []string{tt.value}}, all)
				if err != nil {
					t.Fatalf("%s: %v", comparison, err)
				}
				if r.IAL != tt.ial || r.AAL != tt.aal || r.aalValue != tt.says || r.ClassRef != tt.value {
					t.Errorf("%s: IAL %v, AAL %v, aal %s, stated %s; want %v, %v, %s, %s",
						comparison, r.IAL, r.AAL, r.aalValue, r.ClassRef, tt.ial, tt.aal, tt.says, tt.value)
				}
				if len(r.Unknown) > 0 || len(r.Dropped) > 0 {
					t.Errorf("%s: unknown %v, dropped %v", comparison, r.Unknown, r.Dropped)
				}
			}
		})
	}
	if len(tests)+1 != len(contexts) { // aal/1 is never valid alone
		t.Errorf("%d values tested of %d", len(tests)+1, len(contexts))
	}
}

// What a registration may ask, and what is refused whoever
// asks.
func TestAllowed(t *testing.T) {
	t.Parallel()
	authOnly, verified, facial := sp(idp.IALAuthOnly), sp(idp.IALVerified), sp(idp.IALFacialMatch)
	const level, unknown = idp.RefusedAuthnContextLevel, idp.RefusedAuthnContext
	tests := []struct {
		name string
		sp   *idp.ServiceProvider
		refs []string
		code idp.RefusalCode // "" for allowed
		seen string
	}{
		{"auth-only asks ial/1", authOnly, []string{ns + "ial/1"}, "", ""},
		{"auth-only asks any AAL", authOnly, []string{ns + "aal/3?hspd12=true"}, "", ""},
		{"auth-only asks verified", authOnly, []string{acr + "verified"}, level, acr + "verified"},
		{"auth-only asks ial/2", authOnly, []string{ns + "ial/2"}, level, ns + "ial/2"},
		{"auth-only asks loa/3", authOnly, []string{ns + "loa/3"}, level, ns + "loa/3"},
		{"auth-only asks strict", authOnly, []string{ns + "ial/2?strict=true"}, level, ns + "ial/2?strict=true"},
		{"auth-only asks more beside what it may", authOnly, []string{ns + "ial/1", ns + "ial/2"}, level, ns + "ial/2"},
		{"no level registered is auth-only", sp(""), []string{ns + "ial/2"}, level, ns + "ial/2"},
		{"verified asks ial/1", verified, []string{ns + "ial/1"}, "", ""},
		{"verified asks ial/2", verified, []string{ns + "ial/2"}, "", ""},
		{"verified asks strict", verified, []string{ns + "ial/2?strict=true"}, "", ""},
		{"verified asks facial match required", verified, []string{ns + "ial/2?bio=required"}, level, ns + "ial/2?bio=required"},
		{"verified asks facial match preferred", verified, []string{acr + "verified-facial-match-preferred"}, level, acr + "verified-facial-match-preferred"},
		{"facial match asks facial match", facial, []string{ns + "ial/2?bio=required"}, "", ""},
		{"ial/0 without the switch", facial, []string{ns + "ial/0"}, level, ns + "ial/0"},
		{"ial/0 with the switch", sp(idp.IALAuthOnly, withIALMax), []string{ns + "ial/0"}, "", ""},

		{"unknown", authOnly, []string{"urn:x"}, unknown, "urn:x"},
		{"vectors of trust", verified, []string{"C1", "P1"}, unknown, "C1"},
		{"unknown level", verified, []string{ns + "ial/9"}, unknown, ns + "ial/9"},
		{"unknown parameter", facial, []string{ns + "ial/2?bio=maybe"}, unknown, ns + "ial/2?bio=maybe"},
		{"other case", verified, []string{strings.ToUpper(ns + "ial/2")}, unknown, strings.ToUpper(ns + "ial/2")},
		{"a value within another", verified, []string{"x" + ns + "ial/2"}, unknown, "x" + ns + "ial/2"},
		{"empty", authOnly, []string{""}, unknown, ""},
		{"aal/1 alone", authOnly, []string{ns + "aal/1"}, unknown, ns + "aal/1"},
		{"aal/1 beside attributes only", authOnly, []string{req + "email", ns + "aal/1"}, unknown, ns + "aal/1"},
		{"aal/1 beside an unknown value", authOnly, []string{ns + "aal/1", "urn:x"}, unknown, ns + "aal/1"},
		{"aal/1 beside a valid value", authOnly, []string{ns + "aal/1", ns + "ial/1"}, "", ""},
		{"unknown beside a valid value", authOnly, []string{"urn:x", ns + "ial/1"}, "", ""},
		{"unknown beside attributes only", authOnly, []string{"urn:x", req + "email"}, unknown, "urn:x"},
		{"attributes only", authOnly, []string{req + "email"}, "", ""},
		{"nothing", authOnly, nil, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := Resolve(Ask{"exact", tt.refs}, tt.sp)
			refusal, _ := errors.AsType[*idp.Refusal](err)
			switch {
			case tt.code == "":
				if err != nil {
					t.Error(err)
				}
			case refusal == nil || refusal.Code != tt.code || refusal.Seen != tt.seen || refusal.Field != "AuthnContextClassRef" || r != nil:
				t.Errorf("got %v, %v; want %s, seen %q", r, err, tt.code, tt.seen)
			}
		})
	}
}

// Several values in one request: the identity level by rank,
// the authentication level by order, and what the Response states.
func TestSelection(t *testing.T) {
	t.Parallel()
	all := sp(idp.IALFacialMatch, withIALMax)
	tests := []struct {
		name   string
		sp     *idp.ServiceProvider
		refs   []string
		ial    IAL
		aal    AAL
		stated string
	}{
		{"facial match before verified", all, []string{ns + "ial/2", ns + "ial/2?bio=required"}, FacialRequired, AAL2, ns + "ial/2?bio=required"},
		{"required before preferred", all, []string{ns + "ial/2?bio=preferred", acr + "verified-facial-match-required"}, FacialRequired, AAL2, acr + "verified-facial-match-required"},
		{"the urn before the address", all, []string{ns + "ial/2", acr + "verified"}, Verified, AAL2, acr + "verified"},
		{"verified before ial/0", all, []string{ns + "ial/0", ns + "loa/3"}, Verified, AAL2, ns + "loa/3"},
		{"ial/0 before auth-only", all, []string{acr + "auth-only", ns + "ial/0"}, IALMax, AAL2, ns + "ial/0"},
		{"auth-only before ial/1 before loa/1", all, []string{ns + "loa/1", ns + "ial/1", acr + "auth-only"}, AuthOnly, AALDefault, acr + "auth-only"},
		{"strict beside a level", all, []string{ns + "ial/2?strict=true", ns + "ial/1"}, AuthOnly, AALDefault, ns + "ial/1"},

		{"the first authentication level", all, []string{ns + "ial/1", ns + "aal/2", ns + "aal/3"}, AuthOnly, AAL2, ns + "aal/2"},
		{"the first one, though weaker", all, []string{ns + "ial/1", duo, ns + "aal/3"}, AuthOnly, AALDefault, duo},
		{"aal/1 is one", all, []string{ns + "ial/1", ns + "aal/1", ns + "aal/2"}, AuthOnly, AALDefault, ns + "aal/1"},
		{"an unknown one is none", all, []string{ns + "aal/xyz", ns + "ial/1", ns + "aal/2"}, AuthOnly, AAL2, ns + "aal/2"},
		{"proofing needs AAL2 whatever was asked", all, []string{ns + "aal/1", ns + "ial/2"}, Verified, AAL2, ns + "aal/1"},
		{"proofing leaves a higher one", all, []string{ns + "ial/2", ns + "aal/2?hspd12=true"}, Verified, AALHSPD12, ns + "aal/2?hspd12=true"},

		{"a library's own value beside a level", all, []string{ppt, ns + "ial/1"}, AuthOnly, AALDefault, ns + "ial/1"},
		{"a library's own value beside aal/2", all, []string{ppt, ns + "ial/1", ns + "aal/2"}, AuthOnly, AAL2, ns + "aal/2"},
		{"two of libraries' own", sp(idp.IALAuthOnly), []string{ppt, "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"}, AuthOnly, AALDefault, ppt},
		{"a library's own value is no wish for less", sp(idp.IALAuthOnly, withAAL(idp.AAL2)), []string{ppt}, AuthOnly, AAL2, ppt},
		{"white space around a value", all, []string{"\n  " + ns + "ial/1\t"}, AuthOnly, AALDefault, ns + "ial/1"},
		{"only an unknown one beside a library's own", all, []string{"urn:x", ppt}, Verified, AAL2, ppt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := Resolve(Ask{"", tt.refs}, tt.sp)
			if err != nil {
				t.Fatal(err)
			}
			if r.IAL != tt.ial || r.AAL != tt.aal || r.ClassRef != tt.stated {
				t.Errorf("IAL %v, AAL %v, stated %s; want %v, %v, %s", r.IAL, r.AAL, r.ClassRef, tt.ial, tt.aal, tt.stated)
			}
		})
	}
}

// What applies where the request says nothing, and whether a
// remembered device is enough then.
func TestDefaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		sp         *idp.ServiceProvider
		refs       []string
		ial        IAL
		aal        AAL
		remembered bool
		stated     string
		says       string // attribute aal
	}{
		{"auth-only", sp(idp.IALAuthOnly), nil, AuthOnly, AALDefault, true, duo, duo},
		{"nothing registered", &idp.ServiceProvider{}, nil, AuthOnly, AALDefault, true, duo, duo},
		{"verified is proofed by default", sp(idp.IALVerified), nil, Verified, AAL2, false, duo, duo},
		{"facial match has to be asked for", sp(idp.IALFacialMatch), nil, Verified, AAL2, false, duo, duo},
		{"AAL 2", sp(idp.IALAuthOnly, withAAL(idp.AAL2)), nil, AuthOnly, AAL2, false, ns + "aal/2", ns + "aal/2"},
		{"phishing-resistant", sp(idp.IALAuthOnly, withAAL(idp.AALPhishingResistant)), nil, AuthOnly, AALPhishingResistant, false, ns + "aal/3", ns + "aal/3"},
		{"HSPD-12", sp(idp.IALAuthOnly, withAAL(idp.AALHSPD12)), nil, AuthOnly, AALHSPD12, false, ns + "aal/3?hspd12=true", ns + "aal/3"},
		{"verified, phishing-resistant", sp(idp.IALVerified, withAAL(idp.AALPhishingResistant)), nil, Verified, AALPhishingResistant, false, ns + "aal/3", ns + "aal/3"},
		{"attributes only", sp(idp.IALAuthOnly, withAAL(idp.AAL2)), []string{req + "email"}, AuthOnly, AAL2, false, ns + "aal/2", ns + "aal/2"},
		{"only an identity level asked", sp(idp.IALAuthOnly, withAAL(idp.AAL2)), []string{ns + "ial/1"}, AuthOnly, AAL2, false, ns + "ial/1", ns + "aal/2"},
		{"less asked than registered", sp(idp.IALAuthOnly, withAAL(idp.AAL2)), []string{duo}, AuthOnly, AALDefault, true, duo, duo},
		{"more asked than registered", sp(idp.IALAuthOnly), []string{ns + "aal/2"}, AuthOnly, AAL2, false, ns + "aal/2", ns + "aal/2"},
		{"verified asks for ial/1: no remembered device all the same", sp(idp.IALVerified), []string{ns + "ial/1"}, AuthOnly, AALDefault, false, ns + "ial/1", duo},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := Resolve(Ask{"", tt.refs}, tt.sp)
			if err != nil {
				t.Fatal(err)
			}
			if r.IAL != tt.ial || r.AAL != tt.aal || r.RememberedDevice != tt.remembered || r.ClassRef != tt.stated || r.aalValue != tt.says {
				t.Errorf("IAL %v, AAL %v, remembered %v, stated %s, aal %s; want %v, %v, %v, %s, %s",
					r.IAL, r.AAL, r.RememberedDevice, r.ClassRef, r.aalValue, tt.ial, tt.aal, tt.remembered, tt.stated, tt.says)
			}
		})
	}
}

// The comparisons: only minimum changes anything.
func TestComparison(t *testing.T) {
	t.Parallel()
	authOnly, verified := sp(idp.IALAuthOnly), sp(idp.IALVerified)
	tests := []struct {
		name, comparison string
		sp               *idp.ServiceProvider
		refs             []string
		ial              IAL
		aal              AAL
	}{
		{"minimum, verified asks ial/1", "minimum", verified, []string{ns + "ial/1"}, IALMax, AAL2},
		{"minimum, verified asks auth-only", "minimum", verified, []string{acr + "auth-only"}, IALMax, AAL2},
		{"minimum, verified asks ial/2", "minimum", verified, []string{ns + "ial/2"}, Verified, AAL2},
		{"minimum, verified asks no identity level", "minimum", verified, []string{ns + "aal/2"}, Verified, AAL2},
		{"minimum, verified asks with a library's own value", "minimum", verified, []string{ppt}, Verified, AAL2},
		{"minimum, auth-only asks ial/1", "minimum", authOnly, []string{ns + "ial/1"}, AuthOnly, AALDefault},
		{"better, verified asks ial/1", "better", verified, []string{ns + "ial/1"}, AuthOnly, AALDefault},
		{"maximum, verified asks ial/1", "maximum", verified, []string{ns + "ial/1"}, AuthOnly, AALDefault},
		{"exact, verified asks ial/1", "exact", verified, []string{ns + "ial/1"}, AuthOnly, AALDefault},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := Resolve(Ask{tt.comparison, tt.refs}, tt.sp)
			if err != nil {
				t.Fatal(err)
			}
			if r.IAL != tt.ial || r.AAL != tt.aal || r.ClassRef != tt.refs[0] {
				t.Errorf("IAL %v, AAL %v, stated %s; want %v, %v, %s", r.IAL, r.AAL, r.ClassRef, tt.ial, tt.aal, tt.refs[0])
			}
		})
	}
	for _, bad := range []string{"Exact", "minimum ", "none"} {
		_, err := Resolve(Ask{bad, nil}, authOnly)
		if refusal, ok := errors.AsType[*idp.Refusal](err); !ok || refusal.Code != idp.RefusedComparison || refusal.Seen != bad {
			t.Errorf("comparison %q: %v", bad, err)
		}
	}
}

func TestUnknownIsNoted(t *testing.T) {
	t.Parallel()
	refs := []string{ns + "ial/1", "urn:x", ns + "aal/xyz"}
	r, err := Resolve(Ask{"", refs}, sp(idp.IALAuthOnly))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"urn:x", ns + "aal/xyz"}, r.Unknown); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for range 100 {
		refs = append(refs, strings.Repeat("é", 5000))
	}
	r, err = Resolve(Ask{"", refs}, sp(idp.IALAuthOnly))
	if err != nil || len(r.Unknown) > 20 || len(r.Unknown[19]) > 210 {
		t.Errorf("%d unknown values noted, %v", len(r.Unknown), err)
	}
}

func TestSatisfiedBy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		ial  IAL
		want [3]bool // Unproofed, Proofed, ProofedFace
	}{
		{AuthOnly, [3]bool{true, true, true}},
		{IALMax, [3]bool{true, true, true}},
		{Verified, [3]bool{false, true, true}},
		{FacialPreferred, [3]bool{false, true, true}},
		{FacialRequired, [3]bool{false, false, true}},
	}
	for _, tt := range tests {
		for p, want := range tt.want {
			if got := (&Requirement{IAL: tt.ial}).SatisfiedBy(Proofing(p)); got != want {
				t.Errorf("IAL %v, proofing %v: %v, want %v", tt.ial, p, got, want)
			}
		}
	}
}
