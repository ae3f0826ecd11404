package assurance

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

// Users who cannot be signed in regardless of what they do, by what they can prove, what they
// have proved, and what is requested.
func TestObstacleNamesUnprovableRequirement(t *testing.T) {
	t.Parallel()
	const (
		pw, code, dev, key, card, rec = idp.FactorPassword, idp.FactorTOTP, idp.FactorRememberedDevice,
			idp.FactorPasskey, idp.FactorPIV, idp.FactorRecoveryCode
	)
	type factors = []idp.Factor
	now := time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)
	tests := []struct {
		name         string
		need         Requirement
		proof        Proofing
		have, proved factors
		want         Lack // "" for no obstacle
	}{
		{"password and code", Requirement{}, ProofingNone, factors{pw, code}, factors{pw}, ""},
		{"a password alone", Requirement{AllowsRememberedDevice: true}, ProofingNone, factors{pw}, factors{pw}, LackSecondFactor},
		{"recovery codes are a second factor", Requirement{}, ProofingNone, factors{pw, rec}, factors{pw}, ""},
		{"a remembered device is none for aal/2", Requirement{AAL: AAL2}, ProofingNone, factors{pw}, factors{pw, dev}, LackSecondFactor},
		{"codes are not phishing-resistant", Requirement{AAL: AALPhishingResistant}, ProofingNone, factors{pw, code, rec}, factors{pw, code}, LackPhishingResistant},
		{"a passkey is", Requirement{AAL: AALPhishingResistant}, ProofingNone, factors{pw, code, key}, factors{pw, code}, ""},
		{"a card is, too", Requirement{AAL: AALPhishingResistant}, ProofingNone, factors{pw, card}, factors{pw}, ""},
		{"a passkey is no card", Requirement{AAL: AALHSPD12}, ProofingNone, factors{pw, code, key}, factors{pw, key}, LackPIV},
		{"a card", Requirement{AAL: AALHSPD12}, ProofingNone, factors{pw, card}, factors{pw}, ""},
		{"what was proved counts, though it was taken away since", Requirement{AAL: AALHSPD12}, ProofingNone, factors{pw}, factors{pw, card}, ""},
		{"no password", Requirement{}, ProofingNone, factors{code}, nil, LackPassword},
		{"a card is no password", Requirement{}, ProofingNone, factors{card}, nil, LackPassword},
		{"a password that is yet to be typed", Requirement{}, ProofingNone, factors{pw, code}, nil, ""},

		{"unproofed", Requirement{IAL: IALVerified, AAL: AAL2}, ProofingNone, factors{pw, code}, factors{pw, code}, LackProofing},
		{"unproofed, before the code is asked for", Requirement{IAL: IALVerified, AAL: AAL2}, ProofingNone, factors{pw, code}, factors{pw}, LackProofing},
		{"unproofed and without the factor", Requirement{IAL: IALVerified, AAL: AALHSPD12}, ProofingNone, factors{pw, code}, factors{pw}, LackProofing},
		{"proofed", Requirement{IAL: IALVerified, AAL: AAL2}, ProofingDone, factors{pw, code}, factors{pw}, ""},
		{"proofed without the factor", Requirement{IAL: IALVerified, AAL: AALHSPD12}, ProofingDone, factors{pw, code}, factors{pw}, LackPIV},
		{"proofed otherwise", Requirement{IAL: IALFacialRequired, AAL: AAL2}, ProofingDone, factors{pw, code}, factors{pw}, LackFacialMatch},
		{"facial match is preferred", Requirement{IAL: IALFacialPreferred, AAL: AAL2}, ProofingDone, factors{pw, code}, factors{pw}, ""},
		{"IALMax asks for nothing", Requirement{IAL: IALMax, AAL: AAL2}, ProofingNone, factors{pw, code}, factors{pw}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &idp.Session{}
			for _, f := range tt.proved {
				s.Factors = append(s.Factors, idp.FactorUse{Factor: f, At: now})
			}
			tt.need.requestedRef = "urn:asked"
			got := tt.need.FindObstacle(s, tt.proof, tt.have, now)
			if got == nil {
				got = &Obstacle{}
			}
			if got.Lack != tt.want {
				t.Fatalf("lacks %q, want %q", got.Lack, tt.want)
			}
			if tt.want == "" {
				return
			}
			code := idp.RefusedNoFactor
			if tt.want == LackProofing || tt.want == LackFacialMatch {
				code = idp.RefusedNoProofing
			}
			if r := got.Refusal(); r.Code != code || r.Seen != "urn:asked" {
				t.Errorf("refusal %v", r)
			}
			if diff := cmp.Diff(tt.have, got.Factors); diff != "" {
				t.Errorf("have (-want +got):\n%s", diff)
			}
		})
	}
}
