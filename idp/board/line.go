package board

import (
	"slices"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/sp"
	"vernal/idp/usage"
)

const (
	// clockBound is how wrong the clock of a service provider may be.
	clockBound = 30 * time.Second
	// endingTime is how long before its end a request certificate is odd.
	endingTime = 60 * day
)

// Warnings about a service provider: codes of a Reason.
const (
	WarnRequestCertEnded certs.ReasonCode = "request_certificate_ended"
	WarnRequestCertEnds  certs.ReasonCode = "request_certificate_ends"
	WarnUnsigned         certs.ReasonCode = "requests_unsigned"
	WarnRelayStateLong   certs.ReasonCode = "relay_state_long"
	WarnClockBehind      certs.ReasonCode = "clock_behind"
	WarnClockAhead       certs.ReasonCode = "clock_ahead"
)

// liner writes the lines of a board.
type liner struct {
	now       time.Time
	preferred idp.Year
	over      map[idp.Year]bool // the years that are over
}

// line is the line of p.
func (l *liner) line(p *sp.Provider, known *usage.Snapshot) Line {
	uses := known.Uses[p.EntityID]
	line := Line{
		SP: p.EntityID, Name: p.Name, Active: p.Active,
		Move: l.move(uses), UnmovedFrom: []idp.Year{},
		Contacts: append([]string{}, p.Contacts...),
		Years:    make([]Seen, len(uses)),
		Certs:    l.certs(p, uses),
		Fetches:  fetches(known.Fetches[p.EntityID], true),
	}
	today := usage.DayOf(l.now)
	for i, u := range uses {
		line.Years[i] = Seen{
			Year: u.Year, FirstAt: usage.Moment(u.First), LastAt: usage.Moment(u.Last),
			Days7: u.Days.Sum(today, 7), Days30: u.Days.Sum(today, 30),
			Signed: u.Signed, CertSHA256: u.Cert,
		}
		if p.Active && (!l.newer(uses[i+1:]) || l.still(u)) {
			line.UnmovedFrom = append(line.UnmovedFrom, u.Year)
		}
	}
	line.Warnings = append(append([]certs.Reason{}, l.certWarnings(line.Certs)...), l.requestWarnings(uses)...)
	return line
}

// newer reports whether one of the years is one to move to.
func (l *liner) newer(uses []usage.YearUse) bool {
	return slices.ContainsFunc(uses, func(u usage.YearUse) bool { return !l.over[u.Year] })
}

// still reports whether the year is still in use.
func (l *liner) still(u usage.YearUse) bool { return within(stillTime, l.now, usage.Moment(u.Last)) }

func (l *liner) move(uses []usage.YearUse) Move {
	if len(uses) == 0 {
		return Unseen
	}
	arrived, left := false, true
	for _, u := range uses {
		if l.preferred != "" && u.Year >= l.preferred && !l.over[u.Year] {
			arrived = true
		} else if l.still(u) {
			left = false
		}
	}
	switch {
	case !arrived:
		return Unmoved
	case !left:
		return Both
	}
	return Moved
}

// certs are the registered request certificates, with their last use.
func (l *liner) certs(p *sp.Provider, uses []usage.YearUse) []RequestCert {
	out := []RequestCert{}
	for _, c := range p.RequestCerts {
		rc := RequestCert{SHA256: p.CertSHA256(c), EndAt: c.NotAfter.UTC(), Ended: !l.now.Before(c.NotAfter)}
		last := int64(0)
		for _, u := range uses {
			last = max(last, u.Certs[rc.SHA256])
		}
		rc.LastAt = usage.Moment(last)
		out = append(out, rc)
	}
	slices.SortStableFunc(out, func(a, b RequestCert) int { return a.EndAt.Compare(b.EndAt) })
	return out
}

// certWarnings are about request certificates that ended or soon will.
func (l *liner) certWarnings(all []RequestCert) (warnings []certs.Reason) {
	for _, c := range all {
		code := WarnRequestCertEnds
		switch {
		case c.Ended:
			code = WarnRequestCertEnded
		case c.EndAt.Sub(l.now) > endingTime:
			continue
		}
		warnings = append(warnings, certs.Reason{Code: code, Args: certs.Args{SHA256: c.SHA256[:min(16, len(c.SHA256))], Date: c.EndAt}})
	}
	return warnings
}

// requestWarnings are about requests of the last 30 days, to whatever year.
func (l *liner) requestWarnings(uses []usage.YearUse) (warnings []certs.Reason) {
	var all usage.Tally
	for _, u := range uses {
		all.Unsigned = max(all.Unsigned, u.Unsigned)
		all.Relay = all.Relay.Worse(u.Relay)
		all.Clock = all.Clock.Least(u.Clock)
	}
	warn := func(code certs.ReasonCode, date time.Time, count int) {
		warnings = append(warnings, certs.Reason{Code: code, Args: certs.Args{Date: date, Count: count}})
	}
	if l.recent(all.Unsigned) {
		warn(WarnUnsigned, usage.Moment(all.Unsigned), 0)
	}
	if l.recent(all.Relay.Last) {
		warn(WarnRelayStateLong, usage.Moment(all.Relay.At), all.Relay.Bytes)
	}
	off := time.Duration(all.Clock.Millis) * time.Millisecond
	if off.Abs() > clockBound && usage.DayOf(l.now)-all.Clock.Day < usage.KeepDays {
		code := WarnClockBehind
		if off < 0 {
			code = WarnClockAhead
		}
		warn(code, usage.Moment(all.Clock.Day*(24*time.Hour).Milliseconds()), int(off.Abs().Round(time.Second)/time.Second))
	}
	return warnings
}

func (l *liner) recent(millis int64) bool { return within(usage.OddTime, l.now, usage.Moment(millis)) }
