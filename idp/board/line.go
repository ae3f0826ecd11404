package board

import (
	"fmt"
	"slices"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/sp"
)

const (
	// relayStateBound is the standard's (saml-bindings §3.4.3), in bytes.
	relayStateBound = 80
	// clockBound is how wrong the clock of a service provider may be.
	clockBound = 30 * time.Second
	// endingTime is how long before its end a request certificate is odd.
	endingTime = 60 * day
)

// liner writes the lines of a board.
type liner struct {
	now    time.Time
	target idp.Year
	states map[idp.Year]certs.State
}

// line is the line of p.
func (l *liner) line(p *sp.Provider, known *known) Line {
	uses := known.uses[p.EntityID]
	line := Line{
		SP: p.EntityID, Name: p.Name, Active: p.Active, UnmovedFrom: []idp.Year{},
		Contacts: append([]string{}, p.Contacts...),
		Years:    make([]Seen, len(uses)),
		Certs:    l.certs(p, uses),
		Fetches:  fetches(known.fetches[p.EntityID], true),
	}
	today := dayOf(l.now)
	for i, u := range uses {
		line.Years[i] = Seen{
			Year: u.year, FirstAt: at(u.First), LastAt: at(u.Last),
			Days7: u.Days.sum(today, 7), Days30: u.Days.sum(today, 30),
			Signed: u.Signed, CertSHA256: u.Cert,
		}
	}
	move, from := Judge(line.Years, func(y idp.Year) certs.State { return l.states[y] }, l.target, l.now)
	if line.Move = move; p.Active && from != nil {
		line.UnmovedFrom = from
	}
	line.Odd = append(append([]string{}, l.oddCerts(line.Certs)...), l.oddRequests(uses)...)
	return line
}

// Judge says how far a service provider has moved that used these years, oldest
// first, and from which of them it has still to move. It is the only place that
// decides this: see Move for the rule, and certs.MustLeave for the years that have
// to be left. Uses of a year that was never published say nothing.
//
// A live year is left when it was not used for 14 days and a newer live one was.
// A year that is over is left when it was not used for 14 days and a live one was
// used since: until then sign-ins fail, whatever was used before.
func Judge(years []Seen, state func(idp.Year) certs.State, target idp.Year, now time.Time) (move Move, from []idp.Year) {
	var worked time.Time // the last use of a live year
	var newest idp.Year  // the newest live year that was used
	used, arrived, stuck := false, false, false
	for _, u := range years {
		s := state(u.Year)
		if s.Live() {
			newest = u.Year
			if u.LastAt.After(worked) {
				worked = u.LastAt
			}
		}
		used = used || s.Live() || s.Over()
		arrived = arrived || s.Live() && !certs.MustLeave(u.Year, s, target)
	}
	for _, u := range years {
		s := state(u.Year)
		if !certs.MustLeave(u.Year, s, target) {
			continue
		}
		failing := s.Over() && !worked.After(u.LastAt)
		if failing || s.Live() && u.Year == newest || within(stillTime, now, u.LastAt) {
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

// certs are the registered request certificates, with their last use.
func (l *liner) certs(p *sp.Provider, uses []yearUse) []RequestCert {
	out := []RequestCert{}
	for _, c := range p.RequestCerts {
		rc := RequestCert{SHA256: p.CertSHA256(c), EndAt: c.NotAfter.UTC(), Ended: !l.now.Before(c.NotAfter)}
		last := int64(0)
		for _, u := range uses {
			last = max(last, u.Certs[rc.SHA256])
		}
		rc.LastAt = at(last)
		out = append(out, rc)
	}
	slices.SortStableFunc(out, func(a, b RequestCert) int { return a.EndAt.Compare(b.EndAt) })
	return out
}

func (l *liner) oddCerts(certs []RequestCert) (odd []string) {
	for _, c := range certs {
		name := "its request certificate " + c.SHA256[:min(16, len(c.SHA256))]
		switch {
		case c.Ended:
			odd = append(odd, fmt.Sprintf("%s ended on %s", name, c.EndAt.Format(time.DateOnly)))
		case c.EndAt.Sub(l.now) <= endingTime:
			odd = append(odd, fmt.Sprintf("%s ends on %s", name, c.EndAt.Format(time.DateOnly)))
		}
	}
	return odd
}

// oddRequests is what was odd about requests of the last 30 days, to whatever
// year.
func (l *liner) oddRequests(uses []yearUse) (odd []string) {
	var all usage
	for _, u := range uses {
		all.Unsigned = max(all.Unsigned, u.Unsigned)
		all.Relay = all.Relay.worse(u.Relay)
		all.Clock = all.Clock.least(u.Clock)
	}
	if l.recent(all.Unsigned) {
		odd = append(odd, fmt.Sprintf("its requests are not signed, last on %s", date(all.Unsigned)))
	}
	if l.recent(all.Relay.Last) {
		odd = append(odd, fmt.Sprintf("its RelayState had %d bytes on %s; the standard allows %d",
			all.Relay.Bytes, date(all.Relay.At), relayStateBound))
	}
	off := time.Duration(all.Clock.Millis) * time.Millisecond
	if off.Abs() > clockBound && dayOf(l.now)-all.Clock.Day < keepDays {
		way := "behind"
		if off < 0 {
			way = "ahead of"
		}
		odd = append(odd, fmt.Sprintf("its clock was %d seconds %s ours on %s",
			int(off.Abs().Round(time.Second)/time.Second), way, date(all.Clock.Day*day.Milliseconds())))
	}
	return odd
}

func (l *liner) recent(millis int64) bool { return within(oddTime, l.now, at(millis)) }

func date(millis int64) string { return time.UnixMilli(millis).UTC().Format(time.DateOnly) }
