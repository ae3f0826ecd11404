package assurance

import (
	"testing"
	"time"

	"vernal/idp"
)

// AuthnInstant is the time of the oldest proof that the level needs, counting the latest use
// of each factor.
func TestAuthnInstantIsOldestNeededProof(t *testing.T) {
	t.Parallel()
	const (
		pw, code, dev, key, card, rec = idp.FactorPassword, idp.FactorTOTP, idp.FactorRememberedDevice,
			idp.FactorPasskey, idp.FactorPIV, idp.FactorRecoveryCode
	)
	use := func(f idp.Factor, minute int) idp.FactorUse {
		return idp.FactorUse{Factor: f, At: time.Date(2026, 11, 22, 10, minute, 0, 0, time.UTC)}
	}
	remembering, plain := Requirement{AAL: AALDefault, AllowsRememberedDevice: true}, Requirement{AAL: AALDefault}
	aal2, phish, piv := Requirement{AAL: AAL2}, Requirement{AAL: AALPhishingResistant}, Requirement{AAL: AALHSPD12}
	const now = 50
	tests := []struct {
		name    string
		factors []idp.FactorUse
		level   Requirement
		want    int // minute
	}{
		{"password and code", []idp.FactorUse{use(pw, 10), use(code, 11)}, plain, 10},
		{"password alone was needed", []idp.FactorUse{use(pw, 10), use(dev, 1)}, remembering, 10},
		{"a remembered device does not make it newer", []idp.FactorUse{use(pw, 10), use(dev, 20)}, remembering, 10},
		{"step-up from a remembered device", []idp.FactorUse{use(pw, 10), use(dev, 1), use(code, 40)}, aal2, 10},
		{"step-up, where the level allows a device", []idp.FactorUse{use(pw, 10), use(dev, 1), use(code, 40)}, remembering, 10},
		{"step-up to a passkey", []idp.FactorUse{use(pw, 10), use(code, 11), use(key, 40)}, phish, 10},
		{"step-up to a card", []idp.FactorUse{use(pw, 10), use(code, 11), use(card, 40)}, piv, 10},
		{"the password again, later than the code", []idp.FactorUse{use(pw, 10), use(code, 11), use(pw, 40)}, aal2, 11},
		{"both again", []idp.FactorUse{use(pw, 10), use(code, 11), use(pw, 40), use(code, 41)}, aal2, 40},
		{"the newest of factors that do equally", []idp.FactorUse{use(code, 5), use(rec, 20), use(pw, 30)}, aal2, 20},
		{"a factor that the level does not take", []idp.FactorUse{use(code, 5), use(pw, 30), use(key, 31)}, phish, 30},
		{"the card, older than the password", []idp.FactorUse{use(card, 5), use(pw, 30), use(code, 31)}, piv, 5},
		{"in whatever order", []idp.FactorUse{use(code, 41), use(pw, 40), use(code, 11), use(pw, 10)}, aal2, 40},
		{"a clock that was set back", []idp.FactorUse{use(pw, 55), use(code, 56)}, aal2, now},
		{"the code by a clock that was set back", []idp.FactorUse{use(pw, 20), use(code, 56)}, aal2, 20},
	}
	for _, tt := range tests {
		s := &idp.Session{Factors: tt.factors, AuthnAt: use(pw, 49).At}
		if got, want := tt.level.AuthnInstant(s, use(pw, now).At), use(pw, tt.want).At; !got.Equal(want) {
			t.Errorf("%s: %v, want %v", tt.name, got, want)
		}
	}
}
