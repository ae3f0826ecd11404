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
	// Waits are the reasons why the step waits past DueAt.
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
	preferredRecord, _ := h.Record(h.Preferred)
	currentNumber, last := p.findNumber(now), findLast(h.Records, func(Record) bool { return true })
	var dueSteps, preferSteps []DueStep
	isPastNextMake := false // n is past the first making date in the future
	for n := parseNumber(h.Preferred) + 1; ; n++ {
		records := h.listSlotRecords(n)
		publishedRecord := findLast(records, Record.isAnswering)
		switch {
		case publishedRecord.Year != "":
			// Newest first: if two are ready, the older one is skipped.
			if !publishedRecord.hasCertEnded(now) {
				preferSteps = slices.Insert(preferSteps, 0, p.planPrefer(h, publishedRecord, preferredRecord, now))
			}
		case n < currentNumber:
			// Skipped during downtime, so it is neither made nor published.
		case len(records) > 0:
			dueSteps = append(dueSteps, p.planPublish(records, n, now))
		case !isPastNextMake:
			dueSteps = append(dueSteps, p.planMake(h, n, currentNumber))
		}
		isPastNextMake = isPastNextMake || n >= currentNumber && p.MakeAt.Resolve(n).After(now)
		if isPastNextMake && n >= parseNumber(last.Year) {
			break
		}
	}
	return append(dueSteps, preferSteps...)
}

// listOlderSteps returns the steps of years that are older than the preferred one, or over.
func (p Policy) listOlderSteps(h History, now time.Time) (dueSteps []DueStep) {
	for _, r := range h.Records {
		switch {
		case r.IsOver() && r.KeyDestroyedAt.IsZero():
			dueSteps = append(dueSteps, h.planDestroy(r, now))
		case !r.IsOver() && r.Year < h.Preferred:
			dueSteps = append(dueSteps, p.planRetire(h, r, now))
		}
	}
	return dueSteps
}

// listFirstStep returns the step towards a first preferred year. The newest year whose
// preferring date has passed comes first. If none has passed, the oldest comes first, so
// that a new installation can sign.
func (p Policy) listFirstStep(h History, now time.Time) []DueStep {
	var record Record
	for _, r := range h.Records {
		if r.canSign() && (record.Year == "" || !p.Dates(r.Year).PreferAt.After(now)) {
			record = r
		}
	}
	d := DueStep{Step: Step{Kind: StepPrefer, Year: record.Year, Cause: newReason(WhyNoPreferredYear, Args{})}, DueAt: now, ReadyAt: now}
	switch n := parseNumber(p.FirstYears(now)[0]); {
	case record.Year != "" && record.PublishedAt.IsZero():
		d.Kind = StepPublish
	case record.Year != "":
	case len(h.listSlotRecords(n)) > 0:
		d = p.planPublish(h.listSlotRecords(n), n, now)
	default:
		d = p.planMake(h, n, n)
		d.Cause = newReason(WhyFirstStart, Args{})
	}
	return []DueStep{d}
}

// planMake returns the step that makes number n if no year of that number exists.
func (p Policy) planMake(h History, n, currentNumber int) DueStep {
	at := p.MakeAt.Resolve(n)
	y, ok := h.findNextLetter(n)
	if !ok {
		y = formatYear(n) + "z"
		return DueStep{Step: Step{Kind: StepCreate, Year: y}, DueAt: at, ByHand: true,
			Waits: []Reason{newReason(WaitsLettersUsedUp, Args{Year: formatYear(n)})}}
	}
	d := DueStep{Step: Step{Kind: StepCreate, Year: y, CertEndAt: p.Dates(y).CertEndAt, Cause: newReason(WhyKeyDue, Args{At: at})}, DueAt: at, ReadyAt: at}
	if n == currentNumber {
		d.Cause = newReason(WhyCalendarYear, Args{At: p.PreferAt.Resolve(n)})
	}
	if p.KeySource == SourceImport {
		d.Step = Step{Kind: StepImport, Year: y, Cause: d.Cause}
		d.ByHand, d.ReadyAt, d.Waits = true, time.Time{}, []Reason{newReason(WaitsExternalKey, Args{})}
	}
	return d
}

// planPublish returns the publish step of number n, whose years are records.
func (p Policy) planPublish(records []Record, n int, now time.Time) DueStep {
	at := p.PublishAt.Resolve(n)
	r, last := findLast(records, Record.canSign), records[len(records)-1]
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

// planPrefer returns the prefer step of r, which is published and newer than the preferred
// year. A year published on time is preferred on its date. A late one gives service
// providers time to move, unless the certificate of the preferred year has expired.
func (p Policy) planPrefer(h History, r, preferredRecord Record, now time.Time) DueStep {
	at := p.Dates(r.Year).PreferAt
	d := DueStep{Step: Step{Kind: StepPrefer, Year: r.Year, Cause: newReason(WhyPreferDue, Args{At: at})}, DueAt: at, ReadyAt: at}
	if !r.PublishedAt.Before(at) {
		d.ReadyAt = r.PublishedAt.Add(moveTime)
		d.Cause = newReason(WhyTimeToMoveOver, Args{At: r.PublishedAt})
		d.Waits = []Reason{newReason(WaitsPublishedLate, Args{At: r.PublishedAt, Days: int(moveTime / day)})}
		if endAt := preferredRecord.CertEndAt; endAt.Before(d.ReadyAt) {
			d.ReadyAt = maxTime(endAt, at)
			d.Cause = newReason(WhyOurCertEnded, Args{Year: preferredRecord.Year, At: endAt})
		}
	}
	if h.Hold.IsActive(maxTime(now, d.ReadyAt)) {
		d.Waits = []Reason{h.Hold.explain()}
		d.ReadyAt = h.Hold.EndAt
	}
	return d
}

// planRetire returns the retire step of r, which is older than the preferred year.
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

// planDestroy returns the step that destroys the key of a year that is over.
func (h History) planDestroy(r Record, now time.Time) DueStep {
	at := r.RetiredAt.Add(keepKeyTime)
	d := DueStep{Step: Step{Kind: StepDestroy, Year: r.Year, Cause: newReason(WhyRetired, Args{At: r.RetiredAt})}, DueAt: at, ReadyAt: at}
	if left := h.Clock.countUntrustedTime(); left > 0 && now.Add(left).After(at) {
		d.ReadyAt, d.Waits = now.Add(left), []Reason{h.Clock.explain()}
	}
	return d
}

// blocker is a reason that prevents the retirement of a year.
type blocker struct {
	Reason
	// endAt is when the reason ends at the earliest, or zero if waiting does not end it.
	endAt time.Time
}

// retireBlockers lists the reasons that prevent the retirement of r at now, regardless of its date.
func (h History) retireBlockers(r Record, now time.Time) (blockers []blocker) {
	if !h.Clock.IsTrusted() {
		b := blocker{Reason: h.Clock.explain()}
		if !h.Clock.HasDrifted() {
			b.endAt = now.Add(h.Clock.countUntrustedTime())
		}
		blockers = append(blockers, b)
	}
	var successorAt time.Time
	for _, s := range h.Records {
		if s.Year > r.Year && s.isLive() && (successorAt.IsZero() || s.PublishedAt.Before(successorAt)) {
			successorAt = s.PublishedAt
		}
	}
	switch readyAt := successorAt.Add(successorTime); {
	case successorAt.IsZero():
		blockers = append(blockers, blocker{Reason: newReason(WaitsNoNewerYear, Args{})})
	case readyAt.After(now):
		blockers = append(blockers, blocker{newReason(WaitsSuccessorTooNew, Args{At: successorAt, Days: int(successorTime / day), EndAt: readyAt}), readyAt})
	}
	if quietTime := h.Clock.RunningTime - r.QuietReading; quietTime < QuietTime {
		args := Args{Days: int(QuietTime / day), DaysLeft: roundUpDays(QuietTime - quietTime)}
		explain := newReason(WaitsNotSeenUnused, args)
		if !r.UsedAt.IsZero() {
			args.At = r.UsedAt
			explain = newReason(WaitsUsed, args)
		}
		blockers = append(blockers, blocker{explain, now.Add(QuietTime - quietTime)})
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

// findLast returns the last matching record, or the zero Record.
func findLast(records []Record, matches func(Record) bool) Record {
	for _, r := range slices.Backward(records) {
		if matches(r) {
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
