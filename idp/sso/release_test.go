package sso

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/saml"
	"vernal/idp/sp"
)

// values holds the attributes of the test user. Each value is part of no other, so that a
// value under a wrong name is noticed.
var values = map[string]string{
	"email": "latest@example.gov", "all_emails": "other@example.gov", "locale": "es",
	"first_name": "Given", "middle_name": "Between", "last_name": "Family", "address1": "1 First St", "address2": "Door 2",
	"city": "Townsville", "state": "ZZ", "zipcode": "99999", "dob": "1990-02-28", "ssn": "900-11-2222", "phone": "+12025550123",
	"verified_at": "2031-04-01T09:00:00Z",
}

var proofedNames = []string{
	"first_name", "middle_name", "last_name", "address1", "address2", "city", "state", "zipcode", "dob", "ssn", "phone",
}

func recordOf(level string) (*idp.User, *idp.Profile) {
	confirmed := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	u := &idp.User{ID: "internal-id", Emails: []idp.Email{
		{Address: values["email"], ConfirmedAt: confirmed, LastSignInAt: confirmed}, {Address: values["all_emails"], ConfirmedAt: confirmed},
		{Address: "unconfirmed@example.gov", LastSignInAt: confirmed.AddDate(0, 1, 0)},
	}}
	if level == "" {
		return u, nil
	}
	profile := &idp.Profile{
		Level: level, VerifiedAt: time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC),
		FirstName: values["first_name"], MiddleName: values["middle_name"], LastName: values["last_name"],
		Address1: values["address1"], Address2: values["address2"], City: values["city"], State: values["state"],
		Zipcode: values["zipcode"], DOB: values["dob"], SSN: values["ssn"], Phone: values["phone"],
	}
	u.Proofing = profile.Proofing()
	return u, profile
}

var classRefs = []string{
	"urn:acr.login.gov:auth-only", "urn:acr.login.gov:verified", "urn:acr.login.gov:verified-facial-match-required",
	"urn:acr.login.gov:verified-facial-match-preferred",
	"http://idmanagement.gov/ns/assurance/ial/0", "http://idmanagement.gov/ns/assurance/ial/1", "http://idmanagement.gov/ns/assurance/ial/2",
	"http://idmanagement.gov/ns/assurance/ial/2?bio=required", "http://idmanagement.gov/ns/assurance/ial/2?strict=true",
	"http://idmanagement.gov/ns/assurance/loa/1", "http://idmanagement.gov/ns/assurance/loa/3",
	"http://idmanagement.gov/ns/assurance/aal/2", "http://idmanagement.gov/ns/assurance/aal/2?phishing_resistant=true",
	"urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified", "urn:nobody:knows", "",
}

// anyRequest draws a RequestedAuthnContext: known values, lists of attributes in many
// spellings, and arbitrary text.
func anyRequest(t *rapid.T, names []string) assurance.ContextRequest {
	list := rapid.Custom(func(t *rapid.T) string {
		asked := rapid.SliceOfN(rapid.SampledFrom(append(names, "ascii", "x")), 0, 8).Draw(t, "names")
		sep := rapid.SampledFrom([]string{",", ":", " ", "%2C", "&ReqAttr="}).Draw(t, "separator")
		text := strings.Join(asked, sep)
		if rapid.Bool().Draw(t, "upper") {
			text = strings.ToUpper(text)
		}
		return "http://idmanagement.gov/ns/requested_attributes?ReqAttr=" + text
	})
	ref := rapid.OneOf(rapid.SampledFrom(classRefs), list, rapid.String())
	return assurance.ContextRequest{
		Comparison: rapid.SampledFrom([]string{"", "exact", "minimum", "maximum", "better", "x"}).Draw(t, "comparison"),
		ClassRefs:  rapid.SliceOfN(ref, 0, 5).Draw(t, "refs"),
	}
}

// TestAssertionHoldsOnlyPermittedAttributes checks that no request can make an assertion
// contain an attribute that the provider is not registered for or that the level does not
// allow, under any name, nor any internal value.
func TestAssertionHoldsOnlyPermittedAttributes(t *testing.T) {
	t.Parallel()
	var names []string
	for _, row := range assurance.Table() {
		names = append(names, row.Name)
	}
	levels := []string{idp.IALAuthOnly, idp.IALVerified, idp.IALFacialMatch}
	now := time.Now()
	rapid.Check(t, func(t *rapid.T) {
		p := &sp.Provider{ServiceProvider: idp.ServiceProvider{
			IAL: rapid.SampledFrom(levels).Draw(t, "ial"), AAL: idp.AALDefault, AllowIALMax: rapid.Bool().Draw(t, "ialmax"),
			Attributes:     rapid.SliceOfN(rapid.SampledFrom(append(names, "ascii", "unknown")), 0, 12).Draw(t, "registered"),
			EmailAttribute: rapid.SampledFrom([]string{idp.EmailAttributePlain, idp.EmailAttributeClaimURI}).Draw(t, "email"),
		}}
		ask := anyRequest(t, names)
		need, err := assurance.Resolve(ask, &p.ServiceProvider)
		if err != nil {
			return
		}
		user, profile := recordOf(rapid.SampledFrom([]string{"", idp.IALVerified, idp.IALFacialMatch, "bogus"}).Draw(t, "profile"))
		req := &idp.LoginRequest{SP: "urn:sp", NameIDFormat: saml.NameIDFormatPersistent, Comparison: ask.Comparison, ClassRefs: ask.ClassRefs}
		s := &idp.Session{AuthnAt: now, Factors: []idp.FactorUse{
			{Factor: idp.FactorPassword, At: now}, {Factor: idp.FactorTOTP, At: now}, {Factor: idp.FactorPIV, At: now},
		}}
		if nextStep(req, need, s, user, now).kind != stepIssue {
			return
		}
		a := acceptedRequest{request: req, provider: p, need: need}
		assertion := a.newAssertion(s, user, profile, idp.IssuedIDs{NameID: "the-name-id", SessionIndex: "_index"}, now, values["locale"])
		checkLeft(t, &p.ServiceProvider, ask, user, assertion)
		if diff := cmp.Diff(listPersonal(assertion), a.findDisclosure(user).Names, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("personal attributes (-in the assertion +the user is asked for):\n%s", diff)
		}
	})
}

// listPersonal returns the attributes with a value that is data about the user.
func listPersonal(a *saml.Assertion) (names []string) {
	for _, attr := range a.Attributes {
		switch attr.FriendlyName {
		case "uuid", "ial", "aal", "locale":
			continue
		}
		if len(attr.Values) > 0 {
			names = append(names, attr.FriendlyName)
		}
	}
	return names
}

// checkLeft checks the contents of an assertion against the rules, independently of how it was
// built.
func checkLeft(t *rapid.T, p *idp.ServiceProvider, ask assurance.ContextRequest, user *idp.User, a *saml.Assertion) {
	allowed := map[string]bool{}
	for _, name := range p.Attributes {
		allowed[values[name]] = values[name] != ""
	}
	if slices.Contains(p.Attributes, "all_emails") {
		allowed[values["email"]] = true
	}
	mayProof := p.IAL != idp.IALAuthOnly || p.AllowIALMax
	// Proofing is requested by name or, if the request does not mention identity, by the
	// registration.
	asksLess := slices.ContainsFunc(ask.ClassRefs, func(r string) bool {
		return strings.HasSuffix(strings.TrimSpace(r), "auth-only") || strings.HasSuffix(strings.TrimSpace(r), "/ial/1") || strings.HasSuffix(strings.TrimSpace(r), "/loa/1")
	})
	asksMore := ask.Comparison == "minimum" || slices.ContainsFunc(ask.ClassRefs, func(r string) bool {
		return strings.Contains(r, "verified") || strings.Contains(r, "/ial/2") || strings.Contains(r, "/ial/0") || strings.Contains(r, "/loa/3")
	})
	proofed := user.Proofing != nil && user.Proofing.Level != "bogus" && mayProof && (!asksLess || asksMore)
	for _, attr := range a.Attributes {
		switch attr.FriendlyName {
		case "uuid", "ial", "aal":
			continue
		}
		if !slices.Contains(p.Attributes, attr.FriendlyName) {
			t.Fatalf("%s leaves; registered is %q", attr.FriendlyName, p.Attributes)
		}
		if slices.Contains(proofedNames, attr.FriendlyName) && !proofed {
			t.Fatalf("%s leaves below its level", attr.FriendlyName)
		}
		if attr.FriendlyName == "verified_at" && len(attr.Values) > 0 && (user.Proofing == nil || user.Proofing.Level == "bogus" || !mayProof) {
			t.Fatalf("verified_at leaves: %q", attr.Values)
		}
		for _, v := range attr.Values {
			if !allowed[v] {
				t.Fatalf("%s leaves as %s; registered is %q", v, attr.FriendlyName, p.Attributes)
			}
		}
	}
}
