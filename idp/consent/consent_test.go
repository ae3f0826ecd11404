package consent_test

import (
	"slices"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/consent"
)

const sp = "https://a.example"

var now = time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)

// The reason follows from every combination of the policy, the age of the consent, the agreed and
// the disclosed attributes, the proofing and the withdrawal. The expectation is written as rules in
// their order, because the table would have 1,440 rows.
func TestReasonFollowsFromEveryCombination(t *testing.T) {
	t.Parallel()
	policies := []consent.Policy{{}, {Provider: idp.ConsentAsk}, {Provider: "later"}, {Provider: idp.ConsentNone}, {IsOff: true}, {IsOff: true, Provider: idp.ConsentNone}}
	agreedAts := []time.Time{{}, now, now.Add(-time.Hour), now.Add(time.Hour), now.Add(-consent.Lifetime + time.Nanosecond), now.Add(-consent.Lifetime)}
	agreed := [][]string{nil, {"email"}, {"email", "ssn"}}
	names := [][]string{nil, {"email"}, {"email", "ssn"}, {"ssn"}}
	seen := map[consent.Reason]int{}
	for _, policy := range policies {
		for _, agreedAt := range agreedAts {
			for _, attributes := range agreed {
				for _, disclosed := range names {
					for _, proofed := range []time.Duration{-1, 0, 1} { // relative to the consent
						for _, isWithdrawn := range []bool{false, true} {
							service := &idp.ConnectedService{SP: sp, FirstAt: now, LastAt: now, Attributes: attributes, ConsentAt: agreedAt}
							if isWithdrawn {
								service.WithdrawnAt = now
							}
							d := consent.Disclosure{Names: disclosed}
							isProofed := slices.Contains(disclosed, "ssn")
							if isProofed {
								d.VerifiedAt = agreedAt.Add(proofed)
							}
							want := consent.NotNeeded
							switch {
							case policy.IsOff || policy.Provider == idp.ConsentNone:
							case isWithdrawn:
								want = consent.Withdrawn
							case agreedAt.IsZero():
								want = consent.First
							case slices.ContainsFunc(disclosed, func(name string) bool { return !slices.Contains(attributes, name) }):
								want = consent.Grown
							case isProofed && proofed > 0:
								want = consent.Reproofed
							case agreedAt.Equal(now.Add(-consent.Lifetime)):
								want = consent.Expired
							}
							if got := consent.FindReason(policy, service, d, now); got != want {
								t.Errorf("%+v %+v %+v: %q, want %q", policy, service, d, got, want)
							}
							seen[want]++
						}
					}
				}
			}
		}
	}
	if len(seen) != 6 {
		t.Errorf("the combinations have the reasons %v, want all 6", seen)
	}
}

// A user without a record of the service provider is asked, even if nothing is disclosed: the
// service provider gets an identifier.
func TestUnknownServiceIsAskedFor(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{nil, {"email"}} {
		if got := consent.FindReason(consent.Policy{}, nil, consent.Disclosure{Names: names}, now); got != consent.First {
			t.Errorf("%v: %q", names, got)
		}
	}
	if got := consent.FindNew(nil, []string{"email"}); !slices.Equal(got, []string{"email"}) {
		t.Errorf("new are %v", got)
	}
}
