package assurance

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vernal/idp"
)

// What the documents say about the table in addition to its rules.
func TestEveryAttributeIsKnownAndSourced(t *testing.T) {
	t.Parallel()
	for _, r := range Table() {
		if r.Source == "" {
			t.Errorf("%s has no source", r.Name)
		}
		if !IsKnown(r.Name) {
			t.Errorf("%s is not known", r.Name)
		}
	}
	if !IsKnown("ascii") || IsKnown("Email") || IsKnown("") || IsKnown("shoe_size") {
		t.Error("Known takes what is in the table, and ascii")
	}
}

// The spellings of a requested attribute list.
func TestAttributeListSpellingsAreParsed(t *testing.T) {
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
			got, ok := parseAttributeList(tt.ref)
			if ok != tt.ok || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, %v; want %q, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestDroppedAttributesAreBounded(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 1000 {
		names = append(names, strings.Repeat(string(rune('a'+i%26)), 100+i))
	}
	r, err := Resolve(ContextRequest{Comparison: "", ClassRefs: []string{req + strings.Join(names, ",")}}, sp(idp.IALAuthOnly))
	if err != nil || len(r.DroppedAttributes) > 20 || len(r.DroppedAttributes[0].Name) > 70 {
		t.Errorf("%d names noted, %v", len(r.DroppedAttributes), err)
	}
}

// Attribute ial never states more than the user's record, even though no user with less than
// the requested level is signed in.
func TestIALSaysNoMore(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string][2]string{ // for a user without proofing, and one proofed without facial match
		ial2:         {ial1, ial2},
		loa3:         {ial1, ial2},
		ial2Face:     {ial1, ial2},
		urnVerified:  {urnAuthOnly, urnVerified},
		urnFace:      {urnAuthOnly, urnVerified},
		urnPreferred: {urnAuthOnly, urnVerified},
	} {
		r, err := Resolve(ContextRequest{Comparison: "", ClassRefs: []string{asked}}, mayFace)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range []who{anyone, known} {
			got := Release(r, mayFace, w.UserData)
			if last := got[len(got)-1]; last.Name != "ial" || last.Values[0] != want[i] {
				t.Errorf("%s of a user with %v: %s %v, want %s", asked, ReadProofing(w.Proofed), last.Name, last.Values, want[i])
			}
		}
	}
}

// No request releases an attribute that the provider is not registered for or that the level
// does not allow. Every stated value was requested or is the registration's default.
func TestOnlyPermittedAttributesAreReleased(t *testing.T) {
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
		a := ContextRequest{Comparison: rapid.SampledFrom([]string{"", "exact", "minimum", "maximum", "better"}).Draw(t, "comparison"), ClassRefs: anyOf(refs).Draw(t, "refs")}
		if rapid.Bool().Draw(t, "asks attributes") {
			a.ClassRefs = append(a.ClassRefs, req+strings.Join(anyOf(names).Draw(t, "asked"), ","))
		}
		r, err := Resolve(a, p)
		if err != nil {
			return
		}
		person := drawUser(t)
		released := Release(r, p, person)
		if !r.ReadsProfile(p, person.Proofed) {
			closed := person
			closed.Profile = nil
			if diff := cmp.Diff(released, Release(r, p, closed)); diff != "" {
				t.Fatalf("a profile is released that could stay sealed (-open +sealed):\n%s", diff)
			}
		} else if !slices.ContainsFunc(released, func(a Attribute) bool { return table[findRow(a.FriendlyName)].Level == LevelProofed }) {
			t.Fatal("a profile would be unsealed of which nothing is released")
		}
		for _, out := range released {
			i := findRow(out.FriendlyName)
			if i < 0 {
				t.Fatalf("%s is in no row", out.FriendlyName)
			}
			row := &table[i]
			switch {
			case !row.IsAlwaysSent && !slices.Contains(p.Attributes, row.Name):
				t.Fatalf("%s left, registered is %v", row.Name, p.Attributes)
			case row.Level == LevelProofed && (r.IAL == IALAuthOnly || !allowsVerified(p) && !p.AllowIALMax):
				t.Fatalf("%s left at %v", row.Name, r.IAL)
			case row.Level == LevelProofed && ReadProofing(person.Proofed) == ProofingNone:
				t.Fatalf("%s left of an unproofed user", row.Name)
			case row.Level == LevelEligible && r.IAL == IALAuthOnly && !allowsVerified(p):
				t.Fatalf("%s left", row.Name)
			case row.Level == LevelPIV:
				t.Fatalf("%s left without a card", row.Name)
			}
		}
		if r.IAL.isProofed() && (r.AAL < AAL2 || r.AllowsRememberedDevice) {
			t.Fatalf("proofed identity at AAL %v", r.AAL)
		}
		if _, stated := chooseDefaultAAL(p); r.ClassRef != stated && !slices.Contains(a.ClassRefs, r.ClassRef) {
			t.Fatalf("stated %s", r.ClassRef)
		}
		if contexts[r.ClassRef] == nil {
			t.Fatalf("stated %s, which is unknown", r.ClassRef)
		}
	})
}

func TestResolveAndReleaseAllocateLittle(t *testing.T) {
	p := sp(idp.IALAuthOnly)
	a := ContextRequest{Comparison: "exact", ClassRefs: []string{ns + "ial/1", ns + "aal/2", req + "email"}}
	r, err := Resolve(a, p)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = Resolve(a, p) }); n > 6 {
		t.Errorf("Resolve: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { Release(r, p, UserData{UUID: "u", Email: "e"}) }); n > 2 {
		t.Errorf("Release: %v allocations", n)
	}
}

func BenchmarkResolveRelease(b *testing.B) {
	p := sp(idp.IALAuthOnly)
	a := ContextRequest{Comparison: "exact", ClassRefs: []string{ns + "ial/1", ns + "aal/2", req + "email"}}
	b.ReportAllocs()
	for b.Loop() {
		r, err := Resolve(a, p)
		if err != nil {
			b.Fatal(err)
		}
		Release(r, p, UserData{UUID: "u", Email: "e"})
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("exact", ns+"ial/1", req+"email%2Cphone")
	f.Add("", req+"%", "\xff")
	p := sp(idp.IALFacialMatch, withIALMax)
	f.Fuzz(func(t *testing.T, comparison, first, second string) {
		r, err := Resolve(ContextRequest{Comparison: comparison, ClassRefs: []string{first, second}}, p)
		if err == nil && contexts[r.ClassRef] == nil {
			t.Errorf("stated %q", r.ClassRef)
		}
	})
}
