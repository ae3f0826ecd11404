package assurance

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vernal/idp"
)

const (
	basic = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
	uri   = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
)

// Every row of the table, in the order in which attributes are sent.
func TestTable(t *testing.T) {
	t.Parallel()
	type row struct {
		Name, Format string
		Level        Level
		Always       bool
		Multi        bool
		Sent         bool // by this version
	}
	want := []row{
		{"uuid", basic, LevelAny, true, false, true},
		{"email", basic, LevelAny, false, false, true},
		{"all_emails", basic, LevelAny, false, true, true},
		{"locale", uri, LevelAny, false, false, true},
		{"first_name", uri, LevelProofed, false, false, true},
		{"middle_name", uri, LevelProofed, false, false, true},
		{"last_name", uri, LevelProofed, false, false, true},
		{"address1", uri, LevelProofed, false, false, true},
		{"address2", uri, LevelProofed, false, false, true},
		{"city", uri, LevelProofed, false, false, true},
		{"state", uri, LevelProofed, false, false, true},
		{"zipcode", uri, LevelProofed, false, false, true},
		{"dob", uri, LevelProofed, false, false, true},
		{"ssn", uri, LevelProofed, false, false, true},
		{"phone", uri, LevelProofed, false, false, true},
		{"verified_at", uri, LevelEligible, false, false, true},
		{"aal", uri, LevelAny, true, false, true},
		{"ial", uri, LevelAny, true, false, true},
		{"x509_subject", uri, LevelPIV, false, false, false},
		{"x509_issuer", uri, LevelPIV, false, false, false},
		{"x509_presented", uri, LevelPIV, false, false, false},
	}
	var got []row
	for _, r := range Table() {
		got = append(got, row{r.Name, r.NameFormat, r.Level, r.Always, r.Multi, r.value != nil})
		if r.Source == "" {
			t.Errorf("%s has no source", r.Name)
		}
		if !Known(r.Name) {
			t.Errorf("%s is not known", r.Name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !Known("ascii") || Known("Email") || Known("") || Known("shoe_size") {
		t.Error("Known takes what is in the table, and ascii")
	}
}

// The spellings of a requested attribute list.
func TestRequestedAttributes(t *testing.T) {
	t.Parallel()
	const base = "http://idmanagement.gov/ns/requested_attributes"
	tests := []struct {
		name, ref string
		want      []string
		ok        bool
	}{
		{"one", base + "?ReqAttr=email", []string{"email"}, true},
		{"commas", base + "?ReqAttr=email,phone,first_name", []string{"email", "phone", "first_name"}, true},
		{"comma and space", base + "?ReqAttr=email, phone", []string{"email", "phone"}, true},
		{"colons", base + "?ReqAttr=email:phone", []string{"email", "phone"}, true},
		{"spaces", base + "?ReqAttr=email phone", []string{"email", "phone"}, true},
		{"lines", base + "?ReqAttr=email,\n\t  phone", []string{"email", "phone"}, true},
		{"upper case", base + "?ReqAttr=EMAIL,Phone", []string{"email", "phone"}, true},
		{"upper case throughout", strings.ToUpper(base + "?ReqAttr=email"), []string{"email"}, true},
		{"percent-encoded comma", base + "?ReqAttr=email%2Cphone", []string{"email", "phone"}, true},
		{"percent-encoded space", base + "?ReqAttr=email%20phone", []string{"email", "phone"}, true},
		{"percent-encoded name", base + "?ReqAttr=%65mail%2c%20x509%5Fpresented", []string{"email", "x509_presented"}, true},
		{"broken percent-encoding", base + "?ReqAttr=email%zz,phone", []string{"email", "zz", "phone"}, true},
		{"plus", base + "?ReqAttr=email+phone", []string{"email", "phone"}, true},
		{"empty list", base + "?ReqAttr=", nil, true},
		{"no list", base + "?", nil, true},
		{"no query", base, nil, true},
		{"separators only", base + "?ReqAttr=,, :", nil, true},
		{"not ASCII", base + "?ReqAttr=émail", []string{"mail"}, true},
		{"longer address", base + "2?ReqAttr=email", nil, false},
		{"another address", "http://idmanagement.gov/ns/assurance/ial/1", nil, false},
		{"within another", "urn:x:" + base + "?ReqAttr=email", nil, false},
		{"empty", "", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := requestedAttributes(tt.ref)
			if ok != tt.ok || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, %v; want %q, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// Which attributes are chosen: what was asked, else the registration; of that
// what is registered, what the level allows, and what there is.
func TestSelectAttributes(t *testing.T) {
	t.Parallel()
	bundle := []string{"email", "phone", "first_name", "locale"}
	with := func(ial string, attributes ...string) *idp.ServiceProvider {
		return &idp.ServiceProvider{IAL: ial, Attributes: attributes}
	}
	tests := []struct {
		name    string
		sp      *idp.ServiceProvider
		refs    []string
		want    []string
		dropped []Dropped
	}{
		{"nothing asked: the registration", with(idp.IALAuthOnly, "email"), nil, []string{"email"}, nil},
		{"nothing asked, nothing registered", with(idp.IALAuthOnly), nil, nil, nil},
		{"an empty list replaces the registration", with(idp.IALAuthOnly, "email"), []string{req}, nil, nil},
		{"asked and registered", with(idp.IALAuthOnly, "email"), []string{req + "email"}, []string{"email"}, nil},
		{"asked and not registered", with(idp.IALAuthOnly), []string{req + "email"}, nil, []Dropped{{"email", DropNotRegistered}}},
		{"twice", with(idp.IALAuthOnly, "email"), []string{req + "email,EMAIL", req + "email"}, []string{"email"}, nil},
		{"several lists", with(idp.IALVerified, bundle...), []string{req + "phone", ns + "ial/2", req + "email"}, []string{"email", "phone"}, nil},
		{"unknown", with(idp.IALAuthOnly, "email"), []string{req + "email,shoe_size,shoe_size"}, []string{"email"}, []Dropped{{"shoe_size", DropUnknown}}},
		{"those sent to everyone may be asked", with(idp.IALAuthOnly), []string{req + "uuid,ial,aal"}, nil, nil},
		{"proofed ones below the level", with(idp.IALVerified, bundle...), []string{ns + "ial/1", req + "email,phone,first_name"},
			[]string{"email"}, []Dropped{{"phone", DropLevel}, {"first_name", DropLevel}}},
		{"verified_at goes with proofed data", with(idp.IALVerified, "first_name", "verified_at"), []string{ns + "ial/2", req + "first_name"}, []string{"first_name", "verified_at"}, nil},
		{"verified_at unasked, not registered", with(idp.IALVerified, "first_name"), []string{ns + "ial/2", req + "first_name"}, []string{"first_name"}, nil},
		{"verified_at alone, where proofing may be asked for", with(idp.IALVerified, "verified_at"), []string{ns + "ial/1", req + "verified_at"}, []string{"verified_at"}, nil},
		{"verified_at alone, unasked", with(idp.IALVerified, "email", "verified_at"), []string{ns + "ial/1", req + "email"}, []string{"email"}, nil},
		{"verified_at where proofing may not be asked for", with(idp.IALAuthOnly, "verified_at"), []string{req + "verified_at"}, nil, []Dropped{{"verified_at", DropLevel}}},
		{"registered without a source", with(idp.IALAuthOnly, "email", "x509_presented"), nil, []string{"email"}, []Dropped{{"x509_presented", DropNoSource}}},
		{"registered under an unknown name", with(idp.IALAuthOnly, "email", "shoe_size"), nil, []string{"email"}, []Dropped{{"shoe_size", DropUnknown}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := Resolve(Ask{"", tt.refs}, tt.sp)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(r.Attributes, tt.want) {
				t.Errorf("attributes = %q, want %q", r.Attributes, tt.want)
			}
			if diff := cmp.Diff(tt.dropped, r.Dropped); diff != "" {
				t.Errorf("dropped (-want +got):\n%s", diff)
			}
		})
	}
}

func TestASCIIIsNoAttribute(t *testing.T) {
	t.Parallel()
	p := &idp.ServiceProvider{Attributes: []string{"email"}}
	for refs, want := range map[string]bool{req + "email,ascii": true, req + "email": false} {
		r, err := Resolve(Ask{"", []string{refs}}, p)
		if err != nil || r.ASCII != want || len(r.Dropped) > 0 {
			t.Errorf("%s: ASCII %v, dropped %v, %v", refs, r.ASCII, r.Dropped, err)
		}
	}
}

func TestDroppedIsBounded(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 1000 {
		names = append(names, strings.Repeat(string(rune('a'+i%26)), 100+i))
	}
	r, err := Resolve(Ask{"", []string{req + strings.Join(names, ",")}}, sp(idp.IALAuthOnly))
	if err != nil || len(r.Dropped) > 20 || len(r.Dropped[0].Name) > 70 {
		t.Errorf("%d names noted, %v", len(r.Dropped), err)
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	person := Person{UUID: "5c0d3b4e-6a52-4d2a-9d3c-0d2f6f1f7a10", Email: "alice@example.gov"}
	attribute := func(name, format, friendly string, values ...string) Attribute {
		return Attribute{Name: name, NameFormat: format, FriendlyName: friendly, Values: values}
	}
	uuid := attribute("uuid", basic, "uuid", "5c0d3b4e-6a52-4d2a-9d3c-0d2f6f1f7a10")
	email := attribute("email", basic, "email", "alice@example.gov")
	aal := func(v string) Attribute { return attribute("aal", uri, "aal", v) }
	ial := func(v string) Attribute { return attribute("ial", uri, "ial", v) }
	claim := func(p *idp.ServiceProvider) { p.EmailAttribute = idp.EmailAttributeClaimURI }
	none := func(p *idp.ServiceProvider) { p.Attributes = nil }
	tests := []struct {
		name   string
		sp     *idp.ServiceProvider
		refs   []string
		person Person
		want   []Attribute
	}{
		{"nothing asked", sp(idp.IALAuthOnly), nil, person, []Attribute{uuid, email, aal(duo), ial(ns + "ial/1")}},
		{"nothing registered", sp(idp.IALAuthOnly, none), nil, person, []Attribute{uuid, aal(duo), ial(ns + "ial/1")}},
		{"asked for none", sp(idp.IALAuthOnly), []string{req}, person, []Attribute{uuid, aal(duo), ial(ns + "ial/1")}},
		{"no value: an empty element", sp(idp.IALAuthOnly), nil, Person{UUID: person.UUID},
			[]Attribute{uuid, attribute("email", basic, "email"), aal(duo), ial(ns + "ial/1")}},
		{"email as a claim", sp(idp.IALAuthOnly, claim), nil, person, []Attribute{uuid,
			attribute("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", uri, "email", "alice@example.gov"),
			aal(duo), ial(ns + "ial/1")}},
		{"aal without parameters", sp(idp.IALAuthOnly), []string{ns + "aal/2?hspd12=true"}, person, []Attribute{uuid, email, aal(ns + "aal/2"), ial(ns + "ial/1")}},
		{"ial in the words of the request", sp(idp.IALAuthOnly), []string{acr + "auth-only"}, person, []Attribute{uuid, email, aal(duo), ial(acr + "auth-only")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := Resolve(Ask{"", tt.refs}, tt.sp)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, Release(r, tt.sp, tt.person)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What attribute ial says: what was reached.
func TestIALValue(t *testing.T) {
	t.Parallel()
	all := sp(idp.IALFacialMatch, withIALMax)
	tests := []struct {
		asked string
		// for somebody unproofed, proofed, proofed by facial match
		want [3]string
	}{
		{ns + "ial/1", [3]string{ns + "ial/1", ns + "ial/1", ns + "ial/1"}},
		{ns + "ial/2", [3]string{ns + "ial/1", ns + "ial/2", ns + "ial/2"}},
		{ns + "loa/3", [3]string{ns + "ial/1", ns + "ial/2", ns + "ial/2"}},
		{ns + "ial/0", [3]string{ns + "ial/1", ns + "ial/2", ns + "ial/2"}},
		{ns + "ial/2?bio=required", [3]string{ns + "ial/1", ns + "ial/2", ns + "ial/2?bio=required"}},
		{ns + "ial/2?bio=preferred", [3]string{ns + "ial/1", ns + "ial/2", ns + "ial/2?bio=required"}},
		{acr + "auth-only", [3]string{acr + "auth-only", acr + "auth-only", acr + "auth-only"}},
		{acr + "verified", [3]string{acr + "auth-only", acr + "verified", acr + "verified"}},
		{acr + "verified-facial-match-required", [3]string{acr + "auth-only", acr + "verified", acr + "verified-facial-match-required"}},
		{acr + "verified-facial-match-preferred", [3]string{acr + "auth-only", acr + "verified", acr + "verified-facial-match-required"}},
	}
	for _, tt := range tests {
		r, err := Resolve(Ask{"", []string{tt.asked}}, all)
		if err != nil {
			t.Fatal(err)
		}
		for p, want := range tt.want {
			if got := r.ialValue(Proofing(p)); got != want {
				t.Errorf("%s, proofing %v: %s, want %s", tt.asked, p, got, want)
			}
		}
	}
}

// No request whatsoever makes an attribute leave that the provider is not
// registered for or that the level does not allow, and no value is stated that
// was not asked for or is not the registration's default.
func TestNothingElseLeaves(t *testing.T) {
	t.Parallel()
	var refs, names []string
	for u := range contexts {
		refs = append(refs, u)
	}
	slices.Sort(refs)
	for _, r := range table {
		names = append(names, r.Name)
	}
	refs = append(refs, "urn:x", ns+"aal/xyz", "")
	anyOf := func(list []string) *rapid.Generator[[]string] { return rapid.SliceOfN(rapid.SampledFrom(list), 0, 6) }
	rapid.Check(t, func(t *rapid.T) {
		p := &idp.ServiceProvider{
			IAL:            rapid.SampledFrom([]string{"", idp.IALAuthOnly, idp.IALVerified, idp.IALFacialMatch}).Draw(t, "ial"),
			AAL:            rapid.SampledFrom([]string{idp.AALDefault, idp.AAL2, idp.AALPhishingResistant, idp.AALHSPD12}).Draw(t, "aal"),
			AllowIALMax:    rapid.Bool().Draw(t, "ialmax"),
			Attributes:     anyOf(append(names, "x")).Draw(t, "registered"),
			EmailAttribute: rapid.SampledFrom([]string{idp.EmailAttributePlain, idp.EmailAttributeClaimURI}).Draw(t, "email"),
		}
		a := Ask{rapid.SampledFrom([]string{"", "exact", "minimum", "maximum", "better"}).Draw(t, "comparison"), anyOf(refs).Draw(t, "refs")}
		if rapid.Bool().Draw(t, "asks attributes") {
			a.ClassRefs = append(a.ClassRefs, req+strings.Join(anyOf(names).Draw(t, "asked"), ","))
		}
		r, err := Resolve(a, p)
		if err != nil {
			return
		}
		person := anybody(t)
		for _, out := range Release(r, p, person) {
			row := rowOf(out.FriendlyName)
			switch {
			case row == nil:
				t.Fatalf("%s is in no row", out.FriendlyName)
			case !row.Always && !slices.Contains(p.Attributes, row.Name):
				t.Fatalf("%s left, registered is %v", row.Name, p.Attributes)
			case row.Level == LevelProofed && (r.IAL == AuthOnly || !allowsVerified(p) && !p.AllowIALMax):
				t.Fatalf("%s left at %v", row.Name, r.IAL)
			case row.Level == LevelProofed && ProofingOf(person.Profile) == Unproofed:
				t.Fatalf("%s left of somebody unproofed", row.Name)
			case row.Level == LevelEligible && r.IAL == AuthOnly && !allowsVerified(p):
				t.Fatalf("%s left", row.Name)
			case row.Level == LevelPIV:
				t.Fatalf("%s left without a card", row.Name)
			}
		}
		if r.IAL.proofed() && (r.AAL < AAL2 || r.RememberedDevice) {
			t.Fatalf("proofed identity at AAL %v", r.AAL)
		}
		if _, stated := defaultAAL(p); r.ClassRef != stated && !slices.Contains(a.ClassRefs, r.ClassRef) {
			t.Fatalf("stated %s", r.ClassRef)
		}
		if contexts[r.ClassRef] == nil {
			t.Fatalf("stated %s, which is unknown", r.ClassRef)
		}
	})
}

func TestAllocations(t *testing.T) {
	p := sp(idp.IALAuthOnly)
	a := Ask{"exact", []string{ns + "ial/1", ns + "aal/2", req + "email"}}
	r, err := Resolve(a, p)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = Resolve(a, p) }); n > 6 {
		t.Errorf("Resolve: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { Release(r, p, Person{UUID: "u", Email: "e"}) }); n > 2 {
		t.Errorf("Release: %v allocations", n)
	}
}

func BenchmarkResolveRelease(b *testing.B) {
	p := sp(idp.IALAuthOnly)
	a := Ask{"exact", []string{ns + "ial/1", ns + "aal/2", req + "email"}}
	b.ReportAllocs()
	for b.Loop() {
		r, err := Resolve(a, p)
		if err != nil {
			b.Fatal(err)
		}
		Release(r, p, Person{UUID: "u", Email: "e"})
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("exact", ns+"ial/1", req+"email%2Cphone")
	f.Add("", req+"%", "\xff")
	p := sp(idp.IALFacialMatch, withIALMax)
	f.Fuzz(func(t *testing.T, comparison, first, second string) {
		r, err := Resolve(Ask{comparison, []string{first, second}}, p)
		if err == nil && contexts[r.ClassRef] == nil {
			t.Errorf("stated %q", r.ClassRef)
		}
	})
}
