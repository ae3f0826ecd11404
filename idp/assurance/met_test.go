package assurance

import (
	"slices"
	"testing"
	"time"

	"vernal/idp"
)

// What a session lacks for each level, for every relevant set of factors.
func TestMissingFactorForEachLevel(t *testing.T) {
	t.Parallel()
	const (
		pw, code, dev, key, card, rec = idp.FactorPassword, idp.FactorTOTP, idp.FactorRememberedDevice,
			idp.FactorPasskey, idp.FactorPIV, idp.FactorRecoveryCode
		ok, word, second, phish, piv = NoMissingProof, MissingPassword, MissingSecondFactor, MissingPhishingResistant, MissingPIV
	)
	tests := []struct {
		name    string
		factors []idp.Factor
		// default with and without remembered devices, aal/2,
		// phishing-resistant, hspd12
		want [5]MissingProof
	}{
		{"nothing", nil, [5]MissingProof{word, word, word, word, word}},
		{"password", []idp.Factor{pw}, [5]MissingProof{second, second, second, phish, piv}},
		{"password, code", []idp.Factor{pw, code}, [5]MissingProof{ok, ok, ok, phish, piv}},
		{"password, remembered device", []idp.Factor{pw, dev}, [5]MissingProof{ok, second, second, phish, piv}},
		{"password, remembered device, then code", []idp.Factor{pw, dev, code}, [5]MissingProof{ok, ok, ok, phish, piv}},
		{"password, passkey", []idp.Factor{pw, key}, [5]MissingProof{ok, ok, ok, ok, piv}},
		{"password, card", []idp.Factor{pw, card}, [5]MissingProof{ok, ok, ok, ok, ok}},
		{"password, recovery code", []idp.Factor{pw, rec}, [5]MissingProof{ok, ok, ok, phish, piv}},
		{"password, code, then passkey", []idp.Factor{pw, code, key}, [5]MissingProof{ok, ok, ok, ok, piv}},
		{"code without password", []idp.Factor{code}, [5]MissingProof{word, word, word, word, word}},
		{"remembered device without password", []idp.Factor{dev}, [5]MissingProof{word, word, word, word, word}},
		{"a factor of a later version", []idp.Factor{pw, "smoke-signal"}, [5]MissingProof{second, second, second, phish, piv}},
	}
	levels := [5]Requirement{
		{AAL: AALDefault, AllowsRememberedDevice: true}, {AAL: AALDefault}, {AAL: AAL2}, {AAL: AALPhishingResistant}, {AAL: AALHSPD12},
	}
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &idp.Session{}
			for _, f := range tt.factors {
				s.Factors = append(s.Factors, idp.FactorUse{Factor: f, At: now.Add(-time.Hour)})
			}
			for i, want := range tt.want {
				if got := levels[i].FindMissing(s, now); got != want {
					t.Errorf("level %d: missing %q, want %q", i, got, want)
				}
			}
		})
	}
	for i, r := range levels {
		if got := r.FindMissing(nil, now); got != MissingPassword {
			t.Errorf("level %d without a session: missing %q", i, got)
		}
	}
}

func TestRememberedDeviceCountsFor30Days(t *testing.T) {
	t.Parallel()
	r := Requirement{AllowsRememberedDevice: true}
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		ago  time.Duration
		want MissingProof
	}{
		{"just now", 0, NoMissingProof},
		{"30 days less a second", 30*24*time.Hour - time.Second, NoMissingProof},
		{"30 days", 30 * 24 * time.Hour, MissingSecondFactor},
	} {
		s := &idp.Session{Factors: []idp.FactorUse{
			{Factor: idp.FactorPassword, At: now}, {Factor: idp.FactorRememberedDevice, At: now.Add(-tt.ago)},
		}}
		if got := r.FindMissing(s, now); got != tt.want {
			t.Errorf("%s: missing %q, want %q", tt.name, got, tt.want)
		}
	}
}

// For everything that can be missing, each of its Factors fills the gap, and no other does.
func TestOnlyNamedFactorsFillTheGap(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	all := []idp.Factor{idp.FactorPassword, idp.FactorTOTP, idp.FactorRememberedDevice, idp.FactorPasskey, idp.FactorPIV, idp.FactorRecoveryCode}
	for _, aal := range []AAL{AALDefault, AAL2, AALPhishingResistant, AALHSPD12} {
		r := Requirement{AAL: aal}
		s := &idp.Session{Factors: []idp.FactorUse{{Factor: idp.FactorPassword, At: now}}}
		missing := r.FindMissing(s, now)
		for _, f := range all {
			with := &idp.Session{Factors: append(slices.Clone(s.Factors), idp.FactorUse{Factor: f, At: now})}
			if filled := r.FindMissing(with, now) == NoMissingProof; filled != slices.Contains(missing.Factors(), f) {
				t.Errorf("AAL %v, %s: fills the gap %v, Factors says otherwise", aal, f, filled)
			}
		}
	}
	if f := NoMissingProof.Factors(); len(f) > 0 {
		t.Errorf("nothing missing, yet %v would do", f)
	}
	if diff := slices.Compare(MissingPassword.Factors(), []idp.Factor{idp.FactorPassword}); diff != 0 {
		t.Errorf("the password's gap is filled by %v", MissingPassword.Factors())
	}
}
