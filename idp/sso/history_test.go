package sso

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/consent"
	"vernal/idp/saml"
	"vernal/idp/sp"
)

// history is a random history of one user at two service providers, and what a user who reads
// every page knows.
type history struct {
	h         *Handler
	now       time.Time
	user      *idp.User
	profile   *idp.Profile
	providers [2]*sp.Provider
	// agreed are the attributes that the user agreed to disclose since the last withdrawal, by
	// service provider, and when they last agreed.
	agreed   [2][]string
	agreedAt [2]time.Time
}

// TestHistoryDisclosesOnlyWhatWasAgreed checks that, while consent is asked, no history of requests,
// consents, withdrawals, changes of registrations and of the user makes an assertion disclose data
// to which the user did not agree for that service provider within the last year, nor proofed data
// that was verified after the user agreed.
func TestHistoryDisclosesOnlyWhatWasAgreed(t *testing.T) {
	t.Parallel()
	var names []string
	for _, row := range assurance.Table() {
		names = append(names, row.Name)
	}
	reasons := map[consent.Reason]bool{}
	rapid.Check(t, func(t *rapid.T) {
		x := &history{h: &Handler{}, now: time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)}
		x.user, x.profile = recordOf(rapid.SampledFrom([]string{"", idp.IALVerified}).Draw(t, "profile"))
		for n, id := range []idp.EntityID{"urn:a", "urn:b"} {
			x.providers[n] = &sp.Provider{ServiceProvider: idp.ServiceProvider{EntityID: id, IAL: idp.IALVerified, AAL: idp.AALDefault, AllowIALMax: true, Attributes: []string{"email"}}}
		}
		for range 80 {
			n := rapid.IntRange(0, 1).Draw(t, "provider")
			switch rapid.IntRange(0, 11).Draw(t, "step") {
			case 0:
				x.providers[n].Attributes = rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 8, rapid.ID).Draw(t, "registered")
			case 1:
				if s := x.user.Service(x.providers[n].EntityID); s != nil {
					s.WithdrawnAt, s.Attributes = x.now, nil
					x.agreed[n], x.agreedAt[n] = nil, time.Time{}
				}
			case 2:
				_, x.profile = recordOf(idp.IALVerified)
				x.profile.VerifiedAt = x.now
				x.user.Proofing = x.profile.Proofing()
			case 3:
				x.profile, x.user.Proofing = nil, nil
			case 4:
				x.now = x.now.Add(rapid.SampledFrom([]time.Duration{time.Hour, 100 * 24 * time.Hour, consent.Lifetime}).Draw(t, "time"))
			default:
				reasons[x.request(t, n, names)] = true
			}
			x.now = x.now.Add(time.Second)
		}
	})
	if len(reasons) != 6 && !t.Failed() {
		t.Errorf("the histories have the reasons %v, want all 6", reasons)
	}
}

// request sends a request of the service provider. If the user is asked, they may agree.
func (x *history) request(t *rapid.T, n int, names []string) consent.Reason {
	p := x.providers[n]
	ask := assurance.ContextRequest{ClassRefs: rapid.SampledFrom([][]string{
		nil, {"urn:acr.login.gov:auth-only"}, {"urn:acr.login.gov:verified"}, {"http://idmanagement.gov/ns/assurance/ial/0"},
	}).Draw(t, "level")}
	if rapid.Bool().Draw(t, "lists attributes") {
		ask.ClassRefs = append(slices.Clone(ask.ClassRefs), assurance.RequestAttributes(rapid.SliceOfN(rapid.SampledFrom(names), 0, 8).Draw(t, "asked")...))
	}
	need, err := assurance.Resolve(ask, &p.ServiceProvider)
	if err != nil {
		return consent.NotNeeded
	}
	req := &idp.LoginRequest{SP: p.EntityID, Comparison: ask.Comparison, ClassRefs: ask.ClassRefs,
		NameIDFormat: rapid.SampledFrom([]string{saml.NameIDFormatPersistent, saml.NameIDFormatEmail}).Draw(t, "format")}
	s := &idp.Session{AuthnAt: x.now, Factors: []idp.FactorUse{
		{Factor: idp.FactorPassword, At: x.now}, {Factor: idp.FactorTOTP, At: x.now}, {Factor: idp.FactorPIV, At: x.now}}}
	a := &acceptedRequest{request: req, provider: p, need: need}
	next := x.h.addConsent(a, nextStep(req, need, s, x.user, x.now), x.user, x.now)
	agreed := agreement{question: next.question}
	switch {
	case next.kind == stepConsent && rapid.IntRange(0, 3).Draw(t, "agrees") > 0:
		for _, name := range next.question.names {
			if !slices.Contains(x.agreed[n], name) {
				x.agreed[n] = append(x.agreed[n], name)
			}
		}
		x.agreedAt[n] = x.now
	case next.kind != stepIssue:
		return agreed.reason
	}
	if err := x.h.recheckUser(a, x.user, agreed.question, x.now)(x.user); err != nil {
		t.Fatalf("the write refuses what was decided: %v", err)
	}
	x.user.RecordVisit(p.EntityID, x.now, agreed.newConsent(x.now))

	if x.agreedAt[n].IsZero() || x.now.Sub(x.agreedAt[n]) >= consent.Lifetime {
		t.Fatalf("an assertion was issued without a consent of the last year (%v)", x.agreedAt[n])
	}
	assertion := a.newAssertion(s, x.user, x.profile, idp.IssuedIDs{NameID: "n", SessionIndex: "_i"}, x.now, "en")
	disclosed := listPersonal(assertion)
	if assertion.NameIDFormat == saml.NameIDFormatEmail {
		disclosed = append(disclosed, "email")
	}
	for _, name := range disclosed {
		if !slices.Contains(x.agreed[n], name) {
			t.Fatalf("%s is disclosed to %s, agreed is %q", name, p.EntityID, x.agreed[n])
		}
		if slices.Contains(proofedNames, name) && x.profile.VerifiedAt.After(x.agreedAt[n]) {
			t.Fatalf("%s was verified after the consent", name)
		}
	}
	return agreed.reason
}
