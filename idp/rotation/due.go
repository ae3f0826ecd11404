package rotation

import (
	"slices"
	"time"
)

// DueStep is the next step of a year.
type DueStep struct {
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
func (d DueStep) isReady(now time.Time) bool {
	return !d.ByHand && !d.ReadyAt.IsZero() && !d.ReadyAt.After(now)
}

// listDue lists the next steps, in the order in which they are taken if several are ready: a
// new year is completed before an old one is retired. It leaves out later steps of a year,
// and years after the next one to make.
func (p Policy) listDue(h History, now time.Time) []DueStep {
	if h.Preferred == "" {
		return p.holdSteps(h, p.listFirstStep(h, now))
	}
	return p.holdSteps(h, slices.Concat(p.listNewerSteps(h, now), p.listOlderSteps(h, now)))
}

// listNewerSteps returns the steps of years newer than the preferred one.
func (p Policy) listNewerSteps(h History, now time.Time) []DueStep {
	preferred, _ := h.Record(h.Preferred)
	current, last := p.findNumber(now), findLast(h.Records, func(Record) bool { return true })
	var due, prefer []DueStep
	ahead := false // past the first making date in the future
	for n := parseNumber(h.Preferred) + 1; ; n++ {
		rs := h.listSlotRecords(n)
		published := findLast(rs, Record.isAnswering)
		switch {
		case published.Year != "":
			// Newest first: if two are ready, the older one is skipped.
			if !published.hasCertEnded(now) {
				prefer = slices.Insert(prefer, 0, p.planPrefer(h, published, preferred, now))
			}
		case n < current:
			// Skipped during downtime, so it is neither made nor published.
		case len(rs) > 0:
			due = append(due, p.planPublish(rs, n, now))
		case !ahead:
			due = append(due, p.planMake(h, n, current))
		}
		ahead = ahead || n >= current && p.MakeAt.Resolve(n).After(now)
		if ahead && n >= parseNumber(last.Year) {
			break
		}
	}
	return append(due, prefer...)
}

// listOlderSteps returns the steps of years that are older than the preferred one, or over.
func (p Policy) listOlderSteps(h History, now time.Time) (due []DueStep) {
	for _, r := range h.Records {
		switch {
		case r.IsOver() && r.KeyDestroyedAt.IsZero():
			due = append(due, h.planDestroy(r, now))
		case !r.IsOver() && r.Year < h.Preferred:
			due = append(due, p.planRetire(h, r, now))
		}
	}
	return due
}

// listFirstStep returns the step towards a first preferred year. The newest year whose
// preferring date has passed comes first. If none has passed, the oldest comes first, so
// that a new installation can sign.
func (p Policy) listFirstStep(h History, now time.Time) []DueStep {
	var pick Record
	for _, r := range h.Records {
		if r.canSign() && (pick.Year == "" || !p.Dates(r.Year).PreferAt.After(now)) {
			pick = r
		}
	}
	d := DueStep{Step: Step{Kind: StepPrefer, Year: pick.Year, Cause: newReason(WhyNoPreferredYear, Args{})}, DueAt: now, ReadyAt: now}
	switch n := parseNumber(p.FirstYears(now)[0]); {
	case pick.Year != "" && pick.PublishedAt.IsZero():
		d.Kind = StepPublish
	case pick.Year != "":
	case len(h.listSlotRecords(n)) > 0:
		d = p.planPublish(h.listSlotRecords(n), n, now)
	default:
		d = p.planMake(h, n, n)
		d.Cause = newReason(WhyFirstStart, Args{})
	}
	return []DueStep{d}
}

// planMake returns the making of number n if no year of that number exists.
func (p Policy) planMake(h History, n, current int) DueStep {
	at := p.MakeAt.Resolve(n)
	y, ok := h.findNextLetter(n)
	if !ok {
		y = formatYear(n) + "z"
		return DueStep{Step: Step{Kind: StepCreate, Year: y}, DueAt: at, ByHand: true,
			Waits: []Reason{newReason(WaitsLettersUsedUp, Args{Year: formatYear(n)})}}
	}
	d := DueStep{Step: Step{Kind: StepCreate, Year: y, CertEndAt: p.Dates(y).CertEndAt, Cause: newReason(WhyKeyDue, Args{At: at})}, DueAt: at, ReadyAt: at}
	if n == current {
		d.Cause = newReason(WhyCalendarYear, Args{At: p.PreferAt.Resolve(n)})
	}
	if p.KeySource == SourceImport {
		d.Step = Step{Kind: StepImport, Year: y, Cause: d.Cause}
		d.ByHand, d.ReadyAt, d.Waits = true, time.Time{}, []Reason{newReason(WaitsExternalKey, Args{})}
	}
	return d
}

// planPublish returns the publishing of number n, whose years are rs.
func (p Policy) planPublish(rs []Record, n int, now time.Time) DueStep {
	at := p.PublishAt.Resolve(n)
	r, last := findLast(rs, Record.canSign), rs[len(rs)-1]
	switch {
	case r.Year == "" && last.KeyFault != "":
		return p.planFaultyYear(last, at)
	case r.Year == "":
		return DueStep{Step: Step{Kind: StepImport, Year: last.Year, Cause: newReason(WhyPublishDue, Args{At: at})},
			DueAt: at, ByHand: true, Waits: []Reason{newReason(WaitsCertificate, Args{})}}
	case r.hasCertEnded(now):
		return DueStep{Step: Step{Kind: StepPublish, Year: r.Year}, DueAt: at, Waits: []Reason{newReason(WaitsCertEnded, Args{At: r.CertEndAt})}}
	}
	return DueStep{Step: Step{Kind: StepPublish, Year: r.Year, Cause: newReason(WhyPublishDue, Args{At: at})}, DueAt: at, ReadyAt: at}
}

// planFaultyYear returns the next step of a year that waits for its key to be restored.
func (p Policy) planFaultyYear(r Record, at time.Time) DueStep {
	d := DueStep{Step: Step{Kind: StepPublish, Year: r.Year}, DueAt: at, Waits: []Reason{r.KeyFault.Reason(r.Year)}}
	switch {
	case r.CertEndAt.IsZero():
		d.Kind, d.ByHand = StepImport, true
	case r.isLive():
		d.Kind, d.DueAt = StepPrefer, p.Dates(r.Year).PreferAt
	}
	return d
}

// planPrefer returns the preferring of r, which is published and newer than the preferred
// year. A year published on time is preferred on its date. A late one gives service
// providers time to move, unless the certificate of the preferred year has expired.
func (p Policy) planPrefer(h History, r, preferred Record, now time.Time) DueStep {
	at := p.Dates(r.Year).PreferAt
	d := DueStep{Step: Step{Kind: StepPrefer, Year: r.Year, Cause: newReason(WhyPreferDue, Args{At: at})}, DueAt: at, ReadyAt: at}
	if !r.PublishedAt.Before(at) {
		d.ReadyAt = r.PublishedAt.Add(moveTime)
		d.Cause = newReason(WhyTimeToMoveOver, Args{At: r.PublishedAt})
		d.Waits = []Reason{newReason(WaitsPublishedLate, Args{At: r.PublishedAt, Days: int(moveTime / day)})}
		if end := preferred.CertEndAt; end.Before(d.ReadyAt) {
			d.ReadyAt = maxTime(end, at)
			d.Cause = newReason(WhyOurCertEnded, Args{Year: preferred.Year, At: end})
		}
	}
	if h.Hold.IsActive(maxTime(now, d.ReadyAt)) {
		d.Waits = []Reason{h.Hold.explain()}
		d.ReadyAt = h.Hold.EndAt
	}
	return d
}

// planRetire returns the retirement of r, which is older than the preferred year.
func (p Policy) planRetire(h History, r Record, now time.Time) DueStep {
	at := p.Dates(r.Year).RetireAt
	d := DueStep{Step: Step{Kind: StepRetire, Year: r.Year, Cause: newReason(WhyRetireDue, Args{At: at})}, DueAt: at, ReadyAt: at}
	var waits []Reason
	for _, b := range h.retireBlockers(r, now) {
		waits = append(waits, b.Reason)
		switch {
		case b.endAt.IsZero():
			d.ReadyAt = time.Time{}
		case !d.ReadyAt.IsZero():
			d.ReadyAt = maxTime(d.ReadyAt, b.endAt)
		}
	}
	// Blockers that end by the date are not waits.
	if d.ReadyAt.IsZero() || d.ReadyAt.After(at) {
		d.Waits = waits
	}
	return d
}

// planDestroy returns the destruction of the key of a year that is over.
func (h History) planDestroy(r Record, now time.Time) DueStep {
	at := r.RetiredAt.Add(keepKeyTime)
	d := DueStep{Step: Step{Kind: StepDestroy, Year: r.Year, Cause: newReason(WhyRetired, Args{At: r.RetiredAt})}, DueAt: at, ReadyAt: at}
	if left := h.Clock.countUntrustedTime(); left > 0 && now.Add(left).After(at) {
		d.ReadyAt, d.Waits = now.Add(left), []Reason{h.Clock.explain()}
	}
	return d
}

// blocker is a reason against the retirement of a year.
type blocker struct {
	Reason
	// endAt is when it ends at the earliest, or zero if it does not end by waiting.
	endAt time.Time
}

// retireBlockers lists the reasons against retiring r at now, regardless of its date.
func (h History) retireBlockers(r Record, now time.Time) (blockers []blocker) {
	if !h.Clock.IsTrusted() {
		b := blocker{Reason: h.Clock.explain()}
		if !h.Clock.HasDrifted() {
			b.endAt = now.Add(h.Clock.countUntrustedTime())
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
		blockers = append(blockers, blocker{newReason(WaitsSuccessorTooNew, Args{At: successor, Days: int(successorTime / day), EndAt: ready}), ready})
	}
	if quiet := h.Clock.RunningTime - r.QuietReading; quiet < QuietTime {
		args := Args{Days: int(QuietTime / day), DaysLeft: roundUpDays(QuietTime - quiet)}
		reason := newReason(WaitsNotSeenUnused, args)
		if !r.UsedAt.IsZero() {
			args.At = r.UsedAt
			reason = newReason(WaitsUsed, args)
		}
		blockers = append(blockers, blocker{reason, now.Add(QuietTime - quiet)})
	}
	return blockers
}

// IsUse reports whether the reason is use of a year by service providers, which Step.Force
// overrides.
func (r Reason) IsUse() bool { return r.Code == WaitsUsed || r.Code == WaitsNotSeenUnused }

// explain returns why steps wait while the clock is not trusted.
func (c Clock) explain() Reason {
	if c.HasDrifted() {
		return newReason(WaitsClockDrifted, Args{At: c.DriftedAt})
	}
	return newReason(WaitsClockJumped, Args{FromAt: c.BeforeJumpAt, ToAt: c.AfterJumpAt, DaysLeft: roundUpDays(c.countUntrustedTime())})
}

// explain returns why no newer year is preferred automatically.
func (h Hold) explain() Reason {
	if h.EndAt.IsZero() {
		return newReason(WaitsHold, Args{At: h.BeganAt})
	}
	return newReason(WaitsHoldUntil, Args{At: h.BeganAt, EndAt: h.EndAt})
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

// roundUpDays counts the days that have begun in d.
func roundUpDays(d time.Duration) int { return int((d + day - 1) / day) }
