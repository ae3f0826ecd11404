package doctor

import (
	"context"
	"crypto/x509"
	"time"

	"vernal/idp"
	"vernal/idp/partnercert"
	"vernal/idp/sp"
)

// certificateWarning is the time before its end in which an SP's certificate should be replaced.
const certificateWarning = 30 * day

func listPartnerChecks() []Check {
	return []Check{
		{Name: "sp_certificates", Codes: []Code{SPCertificateEnded, SPCertificateEnding, SPCertificateWeak}, Run: (*Service).checkCertificates},
		{Name: "fips", Codes: []Code{FIPSNotApproved}, Configured: func(s *Service) bool { return s.isFIPS() }, Run: (*Service).checkFIPS},
	}
}

// checkCertificates looks at the certificates of active service providers. There is one finding
// for each code, because there can be thousands of service providers.
func (s *Service) checkCertificates(ctx context.Context, _ Options) (findings []Finding, err error) {
	all, err := s.Registry.All(ctx)
	if err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	ids := map[Code][]idp.EntityID{}
	first := map[Code]time.Time{}
	add := func(code Code, id idp.EntityID, at time.Time) {
		ids[code] = append(ids[code], id)
		if before, ok := first[code]; !ok || at.Before(before) {
			first[code] = at
		}
	}
	for _, p := range all {
		if !p.Active {
			continue
		}
		endAt := findCertEnd(p, now)
		switch {
		case endAt.IsZero():
		case !now.Before(endAt):
			add(SPCertificateEnded, p.EntityID, endAt)
		case endAt.Sub(now) <= certificateWarning:
			add(SPCertificateEnding, p.EntityID, endAt)
		}
		if hasWeakKey(p.RequestCerts) || hasWeakKey(p.EncryptionX509) {
			add(SPCertificateWeak, p.EntityID, time.Time{})
		}
	}
	for _, code := range []Code{SPCertificateEnded, SPCertificateEnding, SPCertificateWeak} {
		if len(ids[code]) == 0 {
			continue
		}
		f := Finding{Code: code, Level: Problem, Args: listSPs(ids[code])}
		f.Args.Date = first[code].UTC()
		option := idp.OptionCert
		if f.Args.Date.IsZero() {
			f.Args.Date = time.Time{}
		}
		f.Suggestions = []idp.Suggestion{idp.Suggest(idp.DoSPEdit, string(f.Args.SPs[0])).WithOption(option, "")}
		findings = append(findings, f)
	}
	return findings, nil
}

// findCertEnd returns the time when a service provider runs out of valid certificates, for
// requests or for encryption. It returns the earlier one, or zero without certificates.
func findCertEnd(p *sp.Provider, now time.Time) (endAt time.Time) {
	for _, c := range p.RequestCerts { // a newer one counts, because requests may come with either
		if c.NotAfter.After(endAt) {
			endAt = c.NotAfter
		}
	}
	if p.Encryption == idp.EncryptionNone {
		return endAt
	}
	if c := partnercert.Choose(p.EncryptionX509, now); c != nil && (endAt.IsZero() || c.NotAfter.Before(endAt)) {
		endAt = c.NotAfter
	}
	return endAt
}

// hasWeakKey reports whether one of the certificates has a key that an attacker could break, or
// that we cannot use. A registration refuses them now.
func hasWeakKey(list []*x509.Certificate) bool {
	for _, c := range list {
		if partnercert.CheckKey(c) != "" {
			return true
		}
	}
	return false
}

// checkFIPS looks for algorithms that FIPS 140-3 does not approve.
func (s *Service) checkFIPS(ctx context.Context, _ Options) ([]Finding, error) {
	all, err := s.Registry.List(ctx)
	if err != nil {
		return nil, err
	}
	var ids []idp.EntityID
	for _, p := range all {
		if p.Active && p.Encryption != idp.EncryptionNone && p.EncryptionDigest == idp.DigestSHA1 {
			ids = append(ids, p.EntityID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return []Finding{{
		Code: FIPSNotApproved, Level: Problem, Args: listSPs(ids),
		Suggestions: []idp.Suggestion{idp.Suggest(idp.DoSPEdit, string(ids[0])).WithOption(idp.OptionEncryptionDigest, idp.DigestSHA256)},
	}}, nil
}
