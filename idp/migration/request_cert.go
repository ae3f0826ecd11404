package migration

import (
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
)

// RequestCertsEndAt is when the last registered request certificate of an active
// service provider ends; zero if it has none or is inactive. It is the only moment
// that its certificates are judged by: one that ends earlier, or ended, is no alarm,
// because the service provider has sent us the next one already. A certificate that
// is not valid yet counts as well, for the same reason.
func (l *Line) RequestCertsEndAt() time.Time {
	if !l.Active || len(l.Certs) == 0 {
		return time.Time{}
	}
	return l.Certs[len(l.Certs)-1].EndAt
}

// RequestCertEnded reports whether every registered request certificate of an active
// service provider has ended. Its requests are verified all the same.
func (l *Line) RequestCertEnded() bool {
	return !l.RequestCertsEndAt().IsZero() && l.Certs[len(l.Certs)-1].Ended
}

// Attention lists what an operator should see to about service providers, in the
// order of the board. The rotation's own is in rotation.Status.
func (b *Board) Attention() (all []rotation.Attention) {
	for i := range b.SPs {
		if l := &b.SPs[i]; l.RequestCertEnded() {
			args := rotation.Args{SPs: []idp.EntityID{l.SP}, Date: l.RequestCertsEndAt()}
			all = append(all, rotation.Attention{Code: rotation.RequestCertEnded, Args: args}.Suggest())
		}
	}
	return all
}
