package assurance

import (
	"testing"
	"time"

	"vernal/idp"
)

// A proofed identity that is paused counts as missing, and the obstacle says whether ending the pause
// would help.
func TestPausedProofingIsObstacle(t *testing.T) {
	t.Parallel()
	now := time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)
	session := &idp.Session{Factors: []idp.FactorUse{{Factor: idp.FactorPassword, At: now}, {Factor: idp.FactorTOTP, At: now}}}
	for _, tt := range []struct {
		name     string
		need     Requirement
		proofing *idp.Proofing
		isPaused bool
		want     Lack
	}{
		{"active", Requirement{IAL: IALVerified}, &idp.Proofing{Level: idp.IALVerified}, false, ""},
		{"paused", Requirement{IAL: IALVerified}, &idp.Proofing{Level: idp.IALVerified}, true, LackActiveProofing},
		{"paused, with a lower level", Requirement{IAL: IALFacialRequired}, &idp.Proofing{Level: idp.IALVerified}, true, LackFacialMatch},
		{"paused facial match", Requirement{IAL: IALFacialRequired}, &idp.Proofing{Level: idp.IALFacialMatch}, true, LackActiveProofing},
		{"never proofed", Requirement{IAL: IALVerified}, nil, true, LackProofing},
		{"not asked for", Requirement{}, &idp.Proofing{Level: idp.IALVerified}, true, ""},
		{"IALMax", Requirement{IAL: IALMax}, &idp.Proofing{Level: idp.IALVerified}, true, ""},
		{"without the factor", Requirement{AAL: AALHSPD12}, &idp.Proofing{Level: idp.IALVerified}, true, LackPIV},
	} {
		u := &idp.User{PasswordHash: "hash", TOTPs: make([]idp.TOTP, 1), Proofing: tt.proofing}
		if tt.isPaused {
			u.ProofingPausedAt = now
		}
		o := tt.need.FindUserObstacle(session, u, now)
		got := Lack("")
		if o != nil {
			got = o.Lack
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
