package migration

import (
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
)

// RequestCertsEndAt returns when the last registered request certificate of an active
// service provider expires, or zero if it has none or is inactive. An earlier end is no
// alarm, because the service provider has sent us the next certificate already. A
// certificate that is not valid yet counts too, for the same reason.
func (l *Line) RequestCertsEndAt() time.Time {
	if !l.Active || len(l.Certs) == 0 {
		return time.Time{}
	}
	return l.Certs[len(l.Certs)-1].EndAt
}

// RequestCertEnded reports whether all registered request certificates of an active service
// provider have expired. Its requests are verified all the same.
func (l *Line) RequestCertEnded() bool {
	return !l.RequestCertsEndAt().IsZero() && l.Certs[len(l.Certs)-1].Ended
}

// Attention lists what needs an operator's attention about service providers, in the order
// of the migration board. rotation.Status lists the rotation's own.
func (b *Board) Attention() (all []rotation.Attention) {
	for i := range b.SPs {
		if l := &b.SPs[i]; l.RequestCertEnded() {
			args := rotation.Args{SPs: []idp.EntityID{l.SP}, Date: l.RequestCertsEndAt()}
			all = append(all, rotation.Attention{Code: rotation.RequestCertEnded, Args: args}.Suggest())
		}
	}
	return all
}
