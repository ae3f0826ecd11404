package rotation

import (
	"slices"
	"time"
)

// Due is the next step of a year.
type Due struct {
	Step
	// DueAt is its date in the calendar.
	DueAt time.Time `json:"due_at"`
	// ReadyAt is when the rules allow it at the earliest, at or after DueAt, if a year to
	// retire is not used from now on. Zero means that an operator must act first.
	ReadyAt time.Time `json:"ready_at,omitzero"`
	// Waits are the reasons why the step waits after DueAt.
	Waits []Reason `json:"waits,omitempty"`
	// ByHand marks a step that automatic mode never takes.
	ByHand bool `json:"by_hand,omitzero"`
}

// isReady reports whether automatic mode takes the step now.
func (d Due) isReady(now time.Time) bool {
	return !d.ByHand && !d.ReadyAt.IsZero() && !d.ReadyAt.After(now)
}

// listDue lists the next steps, in the order in which they are taken if several are ready: a
// new year is completed before an old one is retired. It leaves out later steps of a year,
// and years after the next one to make.
func (p Policy) listDue(h History, now time.Time) []Due {
	if h.Preferred == "" {
		return p.hold(h, p.dueFirst(h, now))
	}
	return p.hold(h, slices.Concat(p.dueNew(h, now), p.dueOld(h, now)))
}

// dueNew returns the steps of years newer than the preferred one.
func (p Policy) dueNew(h History, now time.Time) []Due {
	preferred, _ := h.Record(h.Preferred)
	current, last := p.number(now), findLast(h.Records, func(Record) bool { return true })
	var due, prefer []Due
	ahead := false // past the first making date in the future
	for n := number(h.Preferred) + 1; ; n++ {
		rs := h.slot(n)
		published := findLast(rs, Record.isAnswering)
		switch {
		case published.Year != "":
			// Newest first: if two are ready, the older one is skipped.
			if !published.hasCertEnded(now) {
				prefer = slices.Insert(prefer, 0, p.duePrefer(h, published, preferred, now))
			}
		case n < current:
			// Skipped during downtime, so it is neither made nor published.
		case len(rs) > 0:
			due = append(due, p.duePublish(rs, n, now))
		case !ahead:
			due = append(due, p.dueMake(h, n, current))
		}
		ahead = ahead || n >= current && p.MakeAt.In(n).After(now)
		if ahead && n >= number(last.Year) {
			break
		}
	}
	return append(due, prefer...)
}

// dueOld returns the steps of years that are older than the preferred one, or over.
func (p Policy) dueOld(h History, now time.Time) (due []Due) {
	for _, r := range h.Records {
		switch {
		case r.IsOver() && r.KeyDestroyedAt.IsZero():
			due = append(due, h.dueDestroy(r, now))
		case !r.IsOver() && r.Year < h.Preferred:
			due = append(due, p.dueRetire(h, r, now))
		}
	}
	return due
}

// dueFirst returns the step towards a first preferred year. The newest year whose
// preferring date has passed comes first. If none has passed, the oldest comes first, so
// that a new installation can sign.
func (p Policy) dueFirst(h History, now time.Time) []Due {
	var pick Record
	for _, r := range h.Records {
		if r.canSign() && (pick.Year == "" || !p.Dates(r.Year).PreferAt.After(now)) {
			pick = r
		}
	}
	d := Due{Step: Step{Kind: StepPrefer, Year: pick.Year, Why: newReason(WhyNoPreferredYear, Args{})}, DueAt: now, ReadyAt: now}
	switch n := number(p.FirstYears(now)[0]); {
	case pick.Year != "" && pick.PublishedAt.IsZero():
		d.Kind = StepPublish
	case pick.Year != "":
	case len(h.slot(n)) > 0:
		d = p.duePublish(h.slot(n), n, now)
	default:
		d = p.dueMake(h, n, n)
		d.Why = newReason(WhyFirstStart, Args{})
	}
	return []Due{d}
}

// dueMake returns the making of number n if no year of that number exists.
func (p Policy) dueMake(h History, n, current int) Due {
	at := p.MakeAt.In(n)
	y, ok := h.nextLetter(n)
	if !ok {
		y = yearOf(n) + "z"
		return Due{Step: Step{Kind: StepCreate, Year: y}, DueAt: at, ByHand: true,
			Waits: []Reason{newReason(WaitsLettersUsedUp, Args{Year: yearOf(n)})}}
	}
	d := Due{Step: Step{Kind: StepCreate, Year: y, CertEndAt: p.Dates(y).CertEndAt, Why: newReason(WhyKeyDue, Args{Date: at})}, DueAt: at, ReadyAt: at}
	if n == current {
		d.Why = newReason(WhyCalendarYear, Args{Date: p.PreferAt.In(n)})
	}
	if p.KeySource == SourceImport {
		d.Step = Step{Kind: StepImport, Year: y, Why: d.Why}
		d.ByHand, d.ReadyAt, d.Waits = true, time.Time{}, []Reason{newReason(WaitsExternalKey, Args{})}
	}
	return d
}

// duePublish returns the publishing of number n, whose years are rs.
func (p Policy) duePublish(rs []Record, n int, now time.Time) Due {
	at := p.PublishAt.In(n)
	r, last := findLast(rs, Record.canSign), rs[len(rs)-1]
	switch {
	case r.Year == "" && last.KeyFault != "":
		return p.dueFaulty(last, at)
	case r.Year == "":
		return Due{Step: Step{Kind: StepImport, Year: last.Year, Why: newReason(WhyPublishDue, Args{Date: at})},
			DueAt: at, ByHand: true, Waits: []Reason{newReason(WaitsCertificate, Args{})}}
	case r.hasCertEnded(now):
		return Due{Step: Step{Kind: StepPublish, Year: r.Year}, DueAt: at, Waits: []Reason{newReason(WaitsCertEnded, Args{Date: r.CertEndAt})}}
	}
	return Due{Step: Step{Kind: StepPublish, Year: r.Year, Why: newReason(WhyPublishDue, Args{Date: at})}, DueAt: at, ReadyAt: at}
}

// dueFaulty returns the next step of a year that waits for its key to be restored.
func (p Policy) dueFaulty(r Record, at time.Time) Due {
	d := Due{Step: Step{Kind: StepPublish, Year: r.Year}, DueAt: at, Waits: []Reason{r.KeyFault.Reason(r.Year)}}
	switch {
	case r.CertEndAt.IsZero():
		d.Kind, d.ByHand = StepImport, true
	case r.isLive():
		d.Kind, d.DueAt = StepPrefer, p.Dates(r.Year).PreferAt
	}
	return d
}

// duePrefer returns the preferring of r, which is published and newer than the preferred
// year. A year published on time is preferred on its date. A late one gives service
// providers time to move, unless the certificate of the preferred year has expired.
func (p Policy) duePrefer(h History, r, preferred Record, now time.Time) Due {
	at := p.Dates(r.Year).PreferAt
	d := Due{Step: Step{Kind: StepPrefer, Year: r.Year, Why: newReason(WhyPreferDue, Args{Date: at})}, DueAt: at, ReadyAt: at}
	if !r.PublishedAt.Before(at) {
		d.ReadyAt = r.PublishedAt.Add(moveTime)
		d.Why = newReason(WhyTimeToMoveOver, Args{Date: r.PublishedAt})
		d.Waits = []Reason{newReason(WaitsPublishedLate, Args{Date: r.PublishedAt, Days: int(moveTime / day)})}
		if end := preferred.CertEndAt; end.Before(d.ReadyAt) {
			d.ReadyAt = maxTime(end, at)
			d.Why = newReason(WhyOurCertEnded, Args{Year: preferred.Year, Date: end})
		}
	}
	if h.Hold.IsActive(maxTime(now, d.ReadyAt)) {
		d.Waits = []Reason{h.Hold.reason()}
		d.ReadyAt = h.Hold.Until
	}
	return d
}

// dueRetire returns the retirement of r, which is older than the preferred year.
func (p Policy) dueRetire(h History, r Record, now time.Time) Due {
	at := p.Dates(r.Year).RetireAt
	d := Due{Step: Step{Kind: StepRetire, Year: r.Year, Why: newReason(WhyRetireDue, Args{Date: at})}, DueAt: at, ReadyAt: at}
	var waits []Reason
	for _, b := range h.retireBlockers(r, now) {
		waits = append(waits, b.Reason)
		switch {
		case b.until.IsZero():
			d.ReadyAt = time.Time{}
		case !d.ReadyAt.IsZero():
			d.ReadyAt = maxTime(d.ReadyAt, b.until)
		}
	}
	// Blockers that end by the date are not waits.
	if d.ReadyAt.IsZero() || d.ReadyAt.After(at) {
		d.Waits = waits
	}
	return d
}

// dueDestroy returns the destruction of the key of a year that is over.
func (h History) dueDestroy(r Record, now time.Time) Due {
	at := r.RetiredAt.Add(keepKeyTime)
	d := Due{Step: Step{Kind: StepDestroy, Year: r.Year, Why: newReason(WhyRetired, Args{Date: r.RetiredAt})}, DueAt: at, ReadyAt: at}
	if left := h.Clock.untrustedTime(); left > 0 && now.Add(left).After(at) {
		d.ReadyAt, d.Waits = now.Add(left), []Reason{h.Clock.reason()}
	}
	return d
}

// blocker is a reason against the retirement of a year.
type blocker struct {
	Reason
	// until is when it ends at the earliest, or zero if it does not end by waiting.
	until time.Time
}

// retireBlockers lists the reasons against retiring r at now, regardless of its date.
func (h History) retireBlockers(r Record, now time.Time) (blockers []blocker) {
	if !h.Clock.IsTrusted() {
		b := blocker{Reason: h.Clock.reason()}
		if !h.Clock.HasDrifted() {
			b.until = now.Add(h.Clock.untrustedTime())
		}
		blockers = append(blockers, b)
	}
	var successor time.Time
	for _, s := range h.Records {
		if s.Year > r.Year && s.isLive() && (successor.IsZero() || s.PublishedAt.Before(successor)) {
			successor = s.PublishedAt
		}
	}
	switch ready := successor.Add(successorTime); {
	case successor.IsZero():
		blockers = append(blockers, blocker{Reason: newReason(WaitsNoNewerYear, Args{})})
	case ready.After(now):
		blockers = append(blockers, blocker{newReason(WaitsSuccessorTooNew, Args{Date: successor, Days: int(successorTime / day), Until: ready}), ready})
	}
	if quiet := h.Clock.Running - r.QuietFrom; quiet < QuietTime {
		args := Args{Days: int(QuietTime / day), DaysLeft: wholeDays(QuietTime - quiet)}
		reason := newReason(WaitsNotSeenUnused, args)
		if !r.UsedAt.IsZero() {
			args.Date = r.UsedAt
			reason = newReason(WaitsUsed, args)
		}
		blockers = append(blockers, blocker{reason, now.Add(QuietTime - quiet)})
	}
	return blockers
}

// IsUse reports whether the reason is use of a year by service providers, which Step.Force
// overrides.
func (r Reason) IsUse() bool { return r.Code == WaitsUsed || r.Code == WaitsNotSeenUnused }

// reason returns why steps wait while the clock is not trusted.
func (c Clock) reason() Reason {
	if c.HasDrifted() {
		return newReason(WaitsClockDrifted, Args{Date: c.DriftedAt})
	}
	return newReason(WaitsClockJumped, Args{From: c.JumpedFrom, To: c.JumpedTo, DaysLeft: wholeDays(c.untrustedTime())})
}

// reason returns why no newer year is preferred automatically.
func (h Hold) reason() Reason {
	if h.Until.IsZero() {
		return newReason(WaitsHold, Args{Date: h.Since})
	}
	return newReason(WaitsHoldUntil, Args{Date: h.Since, Until: h.Until})
}

// findLast returns the last of rs for which so holds, or zero.
func findLast(rs []Record, so func(Record) bool) Record {
	for _, r := range slices.Backward(rs) {
		if so(r) {
			return r
		}
	}
	return Record{}
}

func maxTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// wholeDays counts the days that have begun in d.
func wholeDays(d time.Duration) int { return int((d + day - 1) / day) }
