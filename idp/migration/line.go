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

func (l *lineBuilder) buildLine(p *sp.Provider, known *usage.Snapshot) Line {
	uses := known.Uses[p.EntityID]
	line := Line{
		SP: p.EntityID, Name: p.Name, Active: p.Active, YearsToLeave: []idp.Year{},
		Contacts: append([]string{}, p.Contacts...),
		Years:    make([]YearUse, len(uses)),
		Certs:    l.listCerts(p, uses),
		Fetches:  append([]Fetches{}, known.Fetches[p.EntityID]...),
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
	move, from := Judge(line.Years, l.state, l.target, l.now)
	if line.Move = move; p.Active && from != nil {
		line.YearsToLeave = from
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
func Judge(years []YearUse, state func(idp.Year) rotation.State, target idp.Year, now time.Time) (move Move, from []idp.Year) {
	var worked time.Time // the last use of a live year
	var newest idp.Year  // the newest live year that was used
	used, arrived, stuck := false, false, false
	for _, u := range years {
		s := state(u.Year)
		if s.IsLive() {
			newest = u.Year
			if u.LastAt.After(worked) {
				worked = u.LastAt
			}
		}
		used = used || s.IsLive() || s.IsOver()
		arrived = arrived || s.IsLive() && !rotation.MustLeave(u.Year, s, target)
	}
	for _, u := range years {
		s := state(u.Year)
		if !rotation.MustLeave(u.Year, s, target) {
			continue
		}
		failing := s.IsOver() && !worked.After(u.LastAt)
		if failing || s.IsLive() && u.Year == newest || isWithin(rotation.QuietTime, now, u.LastAt) {
			from = append(from, u.Year)
		}
		stuck = stuck || failing
	}
	switch {
	case !used:
		return Unseen, nil
	case !arrived || stuck:
		return Unmoved, from
	case from != nil:
		return Both, from
	}
	return Moved, nil
}

// listCerts returns the registered request certificates with their last use.
func (l *lineBuilder) listCerts(p *sp.Provider, uses []*usage.Tally) []RequestCert {
	out := []RequestCert{}
	for _, c := range p.RequestCerts {
		rc := RequestCert{SHA256: p.CertSHA256(c), EndAt: c.NotAfter.UTC(), Ended: !l.now.Before(c.NotAfter)}
		last := int64(0)
		for _, u := range uses {
			last = max(last, u.Certs[rc.SHA256])
		}
		rc.LastAt = usage.ConvertMillis(last)
		out = append(out, rc)
	}
	slices.SortStableFunc(out, func(a, b RequestCert) int { return a.EndAt.Compare(b.EndAt) })
	return out
}

// listCertWarnings warns about request certificates that have expired or soon will.
func (l *lineBuilder) listCertWarnings(all []RequestCert) (warnings []rotation.Reason) {
	for _, c := range all {
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
	var all usage.Tally
	for _, u := range uses {
		all.UnsignedAt = max(all.UnsignedAt, u.UnsignedAt)
		all.Relay = all.Relay.PickLarger(u.Relay)
		all.Clock = all.Clock.PickSmaller(u.Clock)
	}
	warn := func(code rotation.ReasonCode, date time.Time, count int) {
		warnings = append(warnings, rotation.Reason{Code: code, Args: rotation.Args{At: date, Count: count}})
	}
	if l.isRecent(all.UnsignedAt) {
		warn(WarnUnsigned, usage.ConvertMillis(all.UnsignedAt), 0)
	}
	if l.isRecent(all.Relay.LastAt) {
		warn(WarnRelayStateLong, usage.ConvertMillis(all.Relay.At), all.Relay.Bytes)
	}
	off := time.Duration(all.Clock.Millis) * time.Millisecond
	if off.Abs() > clockBound && usage.ComputeDay(l.now)-all.Clock.Day < usage.KeepDays {
		code := WarnClockBehind
		if off < 0 {
			code = WarnClockAhead
		}
		warn(code, usage.ConvertMillis(all.Clock.Day*(24*time.Hour).Milliseconds()), int(off.Abs().Round(time.Second)/time.Second))
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
// migration board. rotation.Status has those of the rotation itself.
func (b *Board) Attention() (all []rotation.Attention) {
	for i := range b.SPs {
		if l := &b.SPs[i]; l.HasRequestCertEnded() {
			args := rotation.Args{SPs: []idp.EntityID{l.SP}, At: l.RequestCertsEndAt()}
			all = append(all, rotation.Attention{Code: rotation.RequestCertEnded, Args: args}.Suggest())
		}
	}
	return all
}
