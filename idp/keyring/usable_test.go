package keyring

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/rotation"
)

func TestFaultsNameMissingOrDifferentKeys(t *testing.T) {
	t.Parallel()
	k := madeKey(t, "2027")
	other := otherKey(t, "2027")
	// The same key can get another certificate: that is another one all the same.
	renewed, err := certs.Certify(bytes.NewReader(bytes.Repeat([]byte{7}, 1024)), k.Signer, "2027", k.Cert.NotAfter, certs.Spec{}, "https://idp.example.gov", at("2027-01-16"))
	if err != nil {
		t.Fatal(err)
	}
	waiting := func(r *rotation.Record) { r.CertificateSHA256, r.CertEndAt = "", time.Time{} }
	old := func(r *rotation.Record) { r.CertificateSHA256, r.PublicKeySHA256 = "", "" }
	tests := []struct {
		name    string
		key     *certs.Key
		edit    func(*rotation.Record)
		damaged bool
		want    rotation.KeyFault
	}{
		{name: "the recorded key", key: k},
		{name: "nothing", want: rotation.KeyMissing},
		{name: "certificate alone", key: &certs.Key{Year: "2027", Cert: k.Cert}, want: rotation.KeyMissing},
		{name: "private key alone", key: &certs.Key{Year: "2027", Signer: k.Signer}, want: rotation.CertMissing},
		{name: "another key", key: other, want: rotation.KeyDiffers},
		{name: "another private key alone", key: &certs.Key{Year: "2027", Signer: other.Signer}, want: rotation.KeyDiffers},
		{name: "another certificate alone", key: &certs.Key{Year: "2027", Cert: other.Cert}, want: rotation.KeyDiffers},
		{name: "another certificate of the key", key: renewed, want: rotation.KeyDiffers},
		{name: "damaged", damaged: true, want: rotation.KeyDamaged},
		{name: "damaged, with a certificate", key: &certs.Key{Year: "2027", Cert: k.Cert}, damaged: true, want: rotation.KeyDamaged},
		{name: "damaged in the folder, intact in memory", key: k, damaged: true},
		{name: "waits, with its key", key: &certs.Key{Year: "2027", Signer: k.Signer}, edit: waiting},
		{name: "waits, without", edit: waiting, want: rotation.KeyMissing},
		{name: "waits, another key", key: &certs.Key{Year: "2027", Signer: other.Signer}, edit: waiting, want: rotation.KeyDiffers},
		{name: "recorded without digests", key: k, edit: old, want: rotation.KeyDiffers},
		{name: "retired, nothing", edit: func(r *rotation.Record) { r.RetiredAt = at("2027-02-01") }},
		{name: "revoked, another key", key: other, edit: func(r *rotation.Record) { r.RevokedAt = at("2027-02-01") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := recordedWith(t, k).h
			if tt.edit != nil {
				h = edit(h, "2027", tt.edit)
			}
			var keys []*certs.Key
			if tt.key != nil {
				keys = append(keys, tt.key)
			}
			var damaged []certs.DamagedYear
			if tt.damaged {
				damaged = append(damaged, certs.DamagedYear{Year: "2027"})
			}
			if got := FindFaults(h, keys, damaged)["2027"]; got != tt.want {
				t.Errorf("fault %q, want %q", got, tt.want)
			}
		})
	}
}

// TestUsableDropsUnrecordedKeys checks that a key signs only for a year that may sign, and
// that only a recorded certificate is shown.
func TestUsableDropsUnrecordedKeys(t *testing.T) {
	t.Parallel()
	k, other := madeKey(t, "2027"), otherKey(t, "2027")
	tests := []struct {
		name         string
		key          *certs.Key
		edit         func(*rotation.Record)
		signer, cert bool
	}{
		{"the recorded key", k, nil, true, true},
		{"another key", other, nil, false, false},
		{"certificate alone", &certs.Key{Year: "2027", Cert: k.Cert}, nil, false, true},
		{"private key alone", &certs.Key{Year: "2027", Signer: k.Signer}, nil, false, false},
		{"revoked", k, func(r *rotation.Record) { r.RevokedAt = at("2027-02-01") }, false, true},
		{"retired", k, func(r *rotation.Record) { r.RetiredAt = at("2027-02-01") }, false, true},
		{"destroyed", k, func(r *rotation.Record) { r.RetiredAt, r.KeyDestroyedAt = at("2027-02-01"), at("2027-02-01") }, false, true},
		{"revoked, another certificate", other, func(r *rotation.Record) { r.RevokedAt = at("2027-02-01") }, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := recordedWith(t, k).h
			if tt.edit != nil {
				h = edit(h, "2027", tt.edit)
			}
			stray := madeKey(t, "2031")
			usable := SelectUsable(h, []*certs.Key{tt.key, stray})
			if got := yearsOfKeys(usable); !slices.Equal(got, []idp.Year{"2026", "2027", "2031"}) || usable[2] != stray {
				t.Fatalf("years %v, want every recorded one and the stray", got)
			}
			if got := usable[1]; (got.Signer != nil) != tt.signer || (got.Cert != nil) != tt.cert {
				t.Errorf("private key %v, certificate %v; want %v, %v", got.Signer != nil, got.Cert != nil, tt.signer, tt.cert)
			}
			if same := usable[1] == tt.key; same != (tt.signer == (tt.key.Signer != nil) && tt.cert == (tt.key.Cert != nil)) {
				t.Errorf("the same pointer: %v", same)
			}
		})
	}
}

func yearsOfKeys(keys []*certs.Key) (years []idp.Year) {
	for _, k := range keys {
		years = append(years, k.Year)
	}
	return years
}
