package assurance

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vernal/idp"
)

// The values of AuthnContextClassRef, repeated here so that a change of one in the program
// fails.
const (
	ns  = "http://idmanagement.gov/ns/assurance/"
	acr = "urn:acr.login.gov:"
	req = "http://idmanagement.gov/ns/requested_attributes?ReqAttr="

	urnAuthOnly, urnVerified = acr + "auth-only", acr + "verified"
	urnFace, urnPreferred    = acr + "verified-facial-match-required", acr + "verified-facial-match-preferred"

	ial0, ial1, ial2, loa1, loa3 = ns + "ial/0", ns + "ial/1", ns + "ial/2", ns + "loa/1", ns + "loa/3"

	ial2Face, ial2Preferred, ial2Strict = ial2 + "?bio=required", ial2 + "?bio=preferred", ial2 + "?strict=true"

	aal1, aal2, aal3, aalUnknown = ns + "aal/1", ns + "aal/2", ns + "aal/3", ns + "aal/xyz"

	aal2Phishing, aal2Card, aal3Card = aal2 + "?phishing_resistant=true", aal2 + "?hspd12=true", aal3 + "?hspd12=true"

	duo         = "urn:gov:gsa:ac:classes:sp:PasswordProtectedTransport:duo"
	password    = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
	ppt         = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
	unspecified = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"

	emailClaim = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"

	basic = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
	uri   = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
)

// Service providers, by what they may request. Unless a row says otherwise they are registered
// only for email.
var (
	mayAuth   = sp(idp.IALAuthOnly)
	mayVerify = sp(idp.IALVerified)
	mayFace   = sp(idp.IALFacialMatch, withIALMax)
)

func sp(ial string, change ...func(*idp.ServiceProvider)) *idp.ServiceProvider {
	p := &idp.ServiceProvider{
		IAL: ial, AAL: idp.AALDefault, Attributes: []string{"email"}, EmailAttribute: idp.EmailAttributePlain,
	}
	for _, c := range change {
		c(p)
	}
	return p
}

// registerFor returns a provider that is registered for the attributes.
func registerFor(ial string, attributes ...string) *idp.ServiceProvider {
	return sp(ial, registeredFor(attributes...))
}

func registeredFor(attributes ...string) func(*idp.ServiceProvider) {
	return func(p *idp.ServiceProvider) { p.Attributes = attributes }
}

func withAAL(aal string) func(*idp.ServiceProvider) {
	return func(p *idp.ServiceProvider) { p.AAL = aal }
}

// loginGov returns a provider that was built for Login.gov.
func loginGov(p *idp.ServiceProvider) { p.Compat = idp.CompatLoginGov }

// unsigned may leave its requests unsigned, which no valid registration combines with
// loginGov.
func unsigned(p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsOptional }

func withIALMax(p *idp.ServiceProvider) { p.AllowIALMax = true }

func withClaim(p *idp.ServiceProvider) { p.EmailAttribute = idp.EmailAttributeClaimURI }

// at returns the Comparisons at which a row holds.
type at []string

var (
	// No Comparison means exact.
	every   = at{"", "exact", "minimum", "maximum", "better"}
	others  = at{"", "exact", "maximum", "better"}
	minimum = at{"minimum"}
)

type asks []string

// who returns a user who has, and has used, a password and one other factor: TOTP for anyone
// (unproofed), known (proofed) and faced (by facial match).
type who struct {
	UserData
	used     idp.Factor
	unsigned bool // their request is unsigned, so they may have made it up
}

const passkey, card = idp.FactorPasskey, idp.FactorPIV

const uuid = "5c0d3b4e-6a52-4d2a-9d3c-0d2f6f1f7a10"

var (
	anyone = who{UserData{
		UUID: uuid, Email: "a@x.gov", Locale: "es",
		Emails: []idp.Email{{Address: "a@x.gov", ConfirmedAt: time.Unix(1, 0)}, {Address: "new@x.gov"}, {Address: "b@x.gov", ConfirmedAt: time.Unix(1, 0)}},
	}, idp.FactorTOTP, false}
	known = anyone.but(func(p *UserData) { p.Profile = profile() })
	faced = known.but(func(p *UserData) { p.Profile.Level = idp.IALFacialMatch })
)

func (w who) with(f idp.Factor) who { w.used = f; return w }
func (w who) unsign() who           { w.unsigned = true; return w }

func (w who) but(change func(*UserData)) who {
	if w.Profile != nil {
		p := *w.Profile
		w.Profile = &p
	}
	change(&w.UserData)
	w.Proofed = w.Profile.Proofing() // as a store keeps them
	return w
}

func noEmail(p *UserData)      { p.Email = "" }
func noTime(p *UserData)       { p.Profile.VerifiedAt = time.Time{} }
func unknownLevel(p *UserData) { p.Profile.Level = "trusted" }

func profile() *idp.Profile {
	return &idp.Profile{
		Level: idp.IALVerified, VerifiedAt: time.Date(2031, 4, 1, 11, 0, 0, 5, time.FixedZone("", 7200)),
		FirstName: "Zoë", MiddleName: "Đ", LastName: "Müller-Strauß", Address1: "1 Łódź St", City: "Nice", State: "NY",
		Zipcode: "123456789", DOB: "1990-02-28", SSN: "900-11-2222", Phone: "+12025550123",
	}
}

// outcome is the result of a request: a refusal, or everything else.
type outcome struct {
	Refused idp.RefusalCode
	Seen    string // the value that the refusal names

	IAL        IAL
	AAL        AAL
	Remembered bool        // a remembered device counts
	ClassRef   string      // stated in the Response
	Attributes []Attribute // all, in order
	Dropped    []DroppedAttribute   // requested attributes
	Unknown    []string    // ignored values

	aal, ial string
	sent     []Attribute
}

const device, noDevice = true, false

func refused(code idp.RefusalCode, seen string) outcome { return outcome{Refused: code, Seen: seen} }

func needs(ial IAL, aal AAL, remembered bool) outcome {
	return outcome{IAL: ial, AAL: aal, Remembered: remembered, sent: []Attribute{email}}
}

// states sets the AuthnContextClassRef of the Response.
func (o outcome) states(classRef string) outcome { o.ClassRef = classRef; return o }

// says sets the values of the attributes aal and ial.
func (o outcome) says(aal, ial string) outcome { o.aal, o.ial = aal, ial; return o }

// sends sets the attributes between uuid, and aal and ial.
func (o outcome) sends(a ...Attribute) outcome { o.sent = a; return o }

// drops adds requested or registered attributes that are not sent.
func (o outcome) drops(why DropReason, names ...string) outcome {
	for _, n := range names {
		o.Dropped = append(slices.Clip(o.Dropped), DroppedAttribute{n, why})
	}
	return o
}

// passes sets the ignored values.
func (o outcome) passes(values ...string) outcome { o.Unknown = values; return o }

// whole returns the outcome with all its attributes.
func (o outcome) whole() outcome {
	if o.Refused == "" {
		o.Attributes = slices.Concat([]Attribute{b("uuid", uuid)}, o.sent, []Attribute{u("aal", o.aal), u("ial", o.ial)})
	}
	return o
}

var email, verifiedAt = b("email", "a@x.gov"), u("verified_at", "2031-04-01T09:00:00Z")

// b and u are attributes with the NameFormats basic and uri.
func b(name string, values ...string) Attribute {
	return Attribute{Name: name, NameFormat: basic, FriendlyName: name, Values: values}
}

func u(name string, values ...string) Attribute {
	return Attribute{Name: name, NameFormat: uri, FriendlyName: name, Values: values}
}

type rule struct {
	name string
	sp   *idp.ServiceProvider
	at   at
	asks asks
	who  who
	want outcome
}

// TestAssertionFollowsRequestedAssurance passes a request through the same steps as a sign-in,
// from what it requests to the attributes of the Assertion.
func TestAssertionFollowsRequestedAssurance(t *testing.T) {
	t.Parallel()
	for _, tt := range rules {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, comparison := range tt.at {
				got := signIn(t, ContextRequest{Comparison: comparison, ClassRefs: tt.asks, IsUnsigned: tt.who.unsigned}, tt.sp, tt.who)
				if diff := cmp.Diff(tt.want.whole(), got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(outcome{})); diff != "" {
					t.Errorf("Comparison %q (-want +got):\n%s", comparison, diff)
				}
			}
		})
	}
}

func signIn(t *testing.T, a ContextRequest, sp *idp.ServiceProvider, w who) outcome {
	t.Helper()
	now := time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)
	r, err := Resolve(a, sp)
	if err == nil {
		session := &idp.Session{Factors: []idp.FactorUse{{Factor: idp.FactorPassword, At: now}, {Factor: w.used, At: now}}}
		o := r.FindObstacle(session, ReadProofing(w.Proofed), []idp.Factor{idp.FactorPassword, w.used}, now)
		for _, name := range r.Attributes { // Release would hide an extra one
			if granted := name == "verified_at" && sp.IsLoginGovCompatible() && r.IAL.isProofed(); !granted && !slices.Contains(sp.Attributes, name) {
				t.Errorf("%s is chosen, registered is %q", name, sp.Attributes)
			}
		}
		if o == nil {
			return outcome{
				IAL: r.IAL, AAL: r.AAL, Remembered: r.AllowsRememberedDevice, ClassRef: r.ClassRef,
				Attributes: Release(r, sp, w.UserData), Dropped: r.DroppedAttributes, Unknown: r.UnknownClassRefs,
			}
		}
		err = o.Refusal()
	}
	refusal, ok := errors.AsType[*idp.Refusal](err)
	if !ok {
		t.Fatal(err)
	}
	field := "AuthnContextClassRef"
	if refusal.Code == idp.RefusedComparison {
		field = "Comparison"
	}
	if refusal.Field != field {
		t.Errorf("refused for %s, want %s", refusal.Field, field)
	}
	return refused(refusal.Code, refusal.Seen)
}

// Each known value has its own row, and so has each attribute. Row names are unique.
func TestEveryValueHasItsOwnRule(t *testing.T) {
	t.Parallel()
	values, attributes, rows := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, tt := range rules {
		if rows[tt.name] {
			t.Errorf("two rows are called %q", tt.name)
		}
		rows[tt.name] = true
		if len(tt.asks) == 1 {
			values[tt.asks[0]] = true
		}
		for _, a := range tt.want.whole().Attributes {
			attributes[a.FriendlyName] = true
		}
		for _, d := range tt.want.Dropped {
			attributes[d.Name] = attributes[d.Name] || d.Reason == DropNoSource
		}
	}
	for value := range contexts {
		if !values[value] {
			t.Errorf("no row asks for %s alone", value)
		}
	}
	for _, row := range table {
		if !attributes[row.Name] {
			t.Errorf("no row has attribute %s", row.Name)
		}
	}
}
