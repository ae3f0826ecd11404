package migration

import (
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
	"vernal/idp/sp"
	"vernal/idp/usage"
)

const (
	// clockBound is the tolerated clock error of a service provider.
	clockBound = 30 * time.Second
	// endingTime is how long before its end a request certificate causes a warning.
	endingTime = 60 * day
)

// Warning codes about a service provider, used as codes of a Reason.
const (
	WarnRequestCertEnded rotation.ReasonCode = "request_certificate_ended"
	WarnRequestCertEnds  rotation.ReasonCode = "request_certificate_ends"
	WarnUnsigned         rotation.ReasonCode = "requests_unsigned"
	WarnRelayStateLong   rotation.ReasonCode = "relay_state_long"
	WarnClockBehind      rotation.ReasonCode = "clock_behind"
	WarnClockAhead       rotation.ReasonCode = "clock_ahead"
)

type lineBuilder struct {
	now    time.Time
	target idp.Year
	state  func(idp.Year) rotation.State
}

func (l *lineBuilder) buildLine(p *sp.Provider, snapshot *usage.Snapshot) Line {
	uses := snapshot.Uses[p.EntityID]
	line := Line{
		SP: p.EntityID, Name: p.Name, Active: p.Active, YearsToLeave: []idp.Year{},
		Contacts: append([]string{}, p.Contacts...),
		Years:    make([]YearUse, len(uses)),
		Certs:    l.listCerts(p, uses),
		Fetches:  append([]Fetches{}, snapshot.Fetches[p.EntityID]...),
	}
	for i := range line.Fetches {
		line.Fetches[i].Hint = ""
	}
	today := usage.ComputeDay(l.now)
	for i, u := range uses {
		line.Years[i] = YearUse{
			Year: u.Year, FirstAt: usage.ConvertMillis(u.FirstAt), LastAt: usage.ConvertMillis(u.LastAt),
			Days7: u.Days.Sum(today, 7), Days30: u.Days.Sum(today, 30),
			Signed: u.IsSigned, CertSHA256: u.Cert,
		}
	}
	move, yearsToLeave := Judge(line.Years, l.state, l.target, l.now)
	if line.Move = move; p.Active && yearsToLeave != nil {
		line.YearsToLeave = yearsToLeave
	}
	line.Warnings = append(append([]rotation.Reason{}, l.listCertWarnings(line.Certs)...), l.listRequestWarnings(uses)...)
	return line
}

// Judge returns how far a service provider has moved, and the years that it must still
// leave. years are the years it used, oldest first. Only Judge decides this: see Move for
// the rule and rotation.MustLeave for the years to leave. Uses of a year that was never
// published are ignored.
//
// A live year is left when it was not used for 14 days and a newer live one was. A year
// that is over is left when it was not used for 14 days and a live one was used since.
// Until then sign-ins fail, even if a live year was used earlier.
func Judge(years []YearUse, state func(idp.Year) rotation.State, target idp.Year, now time.Time) (move Move, yearsToLeave []idp.Year) {
	var liveUseAt time.Time // last use of a live year
	var newestYear idp.Year // newest live year that was used
	hasUse, usesTarget, isStuck := false, false, false
	for _, u := range years {
		s := state(u.Year)
		if s.IsLive() {
			newestYear = u.Year
			if u.LastAt.After(liveUseAt) {
				liveUseAt = u.LastAt
			}
		}
		hasUse = hasUse || s.IsLive() || s.IsOver()
		usesTarget = usesTarget || s.IsLive() && !rotation.MustLeave(u.Year, s, target)
	}
	for _, u := range years {
		s := state(u.Year)
		if !rotation.MustLeave(u.Year, s, target) {
			continue
		}
		isFailing := s.IsOver() && !liveUseAt.After(u.LastAt)
		if isFailing || s.IsLive() && u.Year == newestYear || isWithin(rotation.QuietTime, now, u.LastAt) {
			yearsToLeave = append(yearsToLeave, u.Year)
		}
		isStuck = isStuck || isFailing
	}
	switch {
	case !hasUse:
		return Unseen, nil
	case !usesTarget || isStuck:
		return Unmoved, yearsToLeave
	case yearsToLeave != nil:
		return Both, yearsToLeave
	}
	return Moved, nil
}

// listCerts returns the registered request certificates with their last use.
func (l *lineBuilder) listCerts(p *sp.Provider, uses []*usage.Tally) []RequestCert {
	certs := []RequestCert{}
	for _, c := range p.RequestCerts {
		rc := RequestCert{SHA256: p.CertSHA256(c), EndAt: c.NotAfter.UTC(), Ended: !l.now.Before(c.NotAfter)}
		last := int64(0)
		for _, u := range uses {
			last = max(last, u.Certs[rc.SHA256])
		}
		rc.LastAt = usage.ConvertMillis(last)
		certs = append(certs, rc)
	}
	slices.SortStableFunc(certs, func(a, b RequestCert) int { return a.EndAt.Compare(b.EndAt) })
	return certs
}

// listCertWarnings warns about request certificates that have expired or soon will.
func (l *lineBuilder) listCertWarnings(certs []RequestCert) (warnings []rotation.Reason) {
	for _, c := range certs {
		code := WarnRequestCertEnds
		switch {
		case c.Ended:
			code = WarnRequestCertEnded
		case c.EndAt.Sub(l.now) > endingTime:
			continue
		}
		warnings = append(warnings, rotation.Reason{Code: code, Args: rotation.Args{SHA256: c.SHA256[:min(16, len(c.SHA256))], At: c.EndAt}})
	}
	return warnings
}

// listRequestWarnings returns the warnings about requests of the last 30 days, to any year.
func (l *lineBuilder) listRequestWarnings(uses []*usage.Tally) (warnings []rotation.Reason) {
	var total usage.Tally
	for _, u := range uses {
		total.UnsignedAt = max(total.UnsignedAt, u.UnsignedAt)
		total.Relay = total.Relay.PickLarger(u.Relay)
		total.Clock = total.Clock.PickSmaller(u.Clock)
	}
	warn := func(code rotation.ReasonCode, date time.Time, count int) {
		warnings = append(warnings, rotation.Reason{Code: code, Args: rotation.Args{At: date, Count: count}})
	}
	if l.isRecent(total.UnsignedAt) {
		warn(WarnUnsigned, usage.ConvertMillis(total.UnsignedAt), 0)
	}
	if l.isRecent(total.Relay.LastAt) {
		warn(WarnRelayStateLong, usage.ConvertMillis(total.Relay.At), total.Relay.Bytes)
	}
	clockError := time.Duration(total.Clock.Millis) * time.Millisecond
	if clockError.Abs() > clockBound && usage.ComputeDay(l.now)-total.Clock.Day < usage.KeepDays {
		code := WarnClockBehind
		if clockError < 0 {
			code = WarnClockAhead
		}
		warn(code, usage.ConvertMillis(total.Clock.Day*(24*time.Hour).Milliseconds()), int(clockError.Abs().Round(time.Second)/time.Second))
	}
	return warnings
}

func (l *lineBuilder) isRecent(millis int64) bool {
	return isWithin(usage.OddityLifetime, l.now, usage.ConvertMillis(millis))
}

// RequestCertsEndAt returns when the last registered request certificate of an active
// service provider expires. It is zero if the service provider has none or is inactive. No
// other time counts: a certificate that expires earlier, or has expired, is no problem,
// because the service provider has already sent us the next one. A certificate that is not
// valid yet counts as well, for the same reason.
func (l *Line) RequestCertsEndAt() time.Time {
	if !l.Active || len(l.Certs) == 0 {
		return time.Time{}
	}
	return l.Certs[len(l.Certs)-1].EndAt
}

// HasRequestCertEnded reports whether every registered request certificate of an active service
// provider has ended. Its requests are still verified.
func (l *Line) HasRequestCertEnded() bool {
	return !l.RequestCertsEndAt().IsZero() && l.Certs[len(l.Certs)-1].Ended
}

// Attention lists the problems of service providers that need an operator, in the order of the
// migration board. rotation.Status lists the problems of the rotation itself.
func (b *Board) Attention() (attentions []rotation.Attention) {
	for i := range b.SPs {
		if l := &b.SPs[i]; l.HasRequestCertEnded() {
			args := rotation.Args{SPs: []idp.EntityID{l.SP}, At: l.RequestCertsEndAt()}
			attentions = append(attentions, rotation.Attention{Code: rotation.RequestCertEnded, Args: args}.Suggest())
		}
	}
	return attentions
}
