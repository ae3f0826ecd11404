package certs

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// Due is a step that comes next for a year.
type Due struct {
	Step
	// DueAt is its date in the calendar.
	DueAt time.Time `json:"due_at"`
	// ReadyAt is when the rules allow it at the earliest, DueAt or later, if no
	// service provider uses a year from now on that should be retired. Zero: no
	// date will do, a person must act.
	ReadyAt time.Time `json:"ready_at,omitzero"`
	// Waits says what keeps it from being taken at DueAt; "" if nothing does.
	Waits string `json:"waits,omitzero"`
	// ByHand is a step that automatic mode never takes.
	ByHand bool `json:"by_hand,omitzero"`
	// Used: it is a retirement, and use by service providers is among what it
	// waits for.
	Used bool `json:"used,omitzero"`
}

// ready reports whether automatic mode takes the step now.
func (d Due) ready(now time.Time) bool {
	return !d.ByHand && !d.ReadyAt.IsZero() && !d.ReadyAt.After(now)
}

// due lists the steps that come next, in the order in which they are taken when
// several are ready: a new year is complete before an old one goes. Later steps
// of a year are not in it, nor are years whose making is further away than the
// next one.
func (p Policy) due(h History, now time.Time) []Due {
	if h.Preferred == "" {
		return p.holdDrifted(h.Clock, p.dueFirst(h, now))
	}
	return p.holdDrifted(h.Clock, slices.Concat(p.dueNew(h, now), p.dueOld(h, now)))
}

// dueNew are the steps of the years that are newer than the preferred one.
func (p Policy) dueNew(h History, now time.Time) []Due {
	preferred, _ := h.Record(h.Preferred)
	current := p.number(now)
	var due, prefer []Due
	ahead := false // past the first making date that is yet to come
	for n := number(h.Preferred) + 1; ; n++ {
		rs := h.slot(n)
		published := newest(rs, Record.answers)
		switch {
		case published.Year != "":
			// The newest first: where two are ready, the older one is passed by.
			if !published.certEnded(now) {
				prefer = slices.Insert(prefer, 0, p.duePrefer(h, published, preferred, now))
			}
		case n < current:
			// Skipped during downtime: neither made nor published any more.
		case len(rs) > 0:
			due = append(due, p.duePublish(rs, n, now))
		case !ahead:
			due = append(due, p.dueMake(h, n, current))
		}
		ahead = ahead || n >= current && p.MakeAt.In(n).After(now)
		if ahead && n >= number(h.newest()) {
			break
		}
	}
	return append(due, prefer...)
}

// dueOld are the steps of the years that are older, or over.
func (p Policy) dueOld(h History, now time.Time) (due []Due) {
	for _, r := range h.Records {
		switch {
		case r.over() && r.KeyDestroyedAt.IsZero():
			due = append(due, h.dueDestroy(r, now))
		case !r.over() && r.Year < h.Preferred:
			due = append(due, p.dueRetire(h, r, now))
		}
	}
	return due
}

// dueFirst is the way to a first preferred year: the calendar's, or what there
// is. The newest year whose preferring date has passed goes before older ones;
// where none has, the oldest goes first, so that a new installation can sign.
func (p Policy) dueFirst(h History, now time.Time) []Due {
	var pick Record
	for _, r := range h.Records {
		if r.canSign() && (pick.Year == "" || !p.Dates(r.Year).PreferAt.After(now)) {
			pick = r
		}
	}
	d := Due{DueAt: now, ReadyAt: now}
	switch n := number(p.FirstYears(now)[0]); {
	case pick.Year != "" && pick.PublishedAt.IsZero():
		d.Step = Step{Kind: StepPublish, Year: pick.Year, Why: "no year is preferred yet"}
	case pick.Year != "":
		d.Step = Step{Kind: StepPrefer, Year: pick.Year, Why: "no year is preferred yet"}
	case len(h.slot(n)) > 0:
		d = p.duePublish(h.slot(n), n, now)
	default:
		d = p.dueMake(h, n, n)
		d.Why = "the calendar prefers it at the first start"
	}
	return []Due{d}
}

// dueMake is the making of number n, where no year of that number is there.
func (p Policy) dueMake(h History, n, current int) Due {
	at := p.MakeAt.In(n)
	y, ok := h.nextLetter(n)
	if !ok {
		y = yearOf(n) + "z"
		return Due{Step: Step{Kind: StepCreate, Year: y}, DueAt: at, ByHand: true,
			Waits: fmt.Sprintf("the letters of %04d are used up", n)}
	}
	d := Due{Step: Step{Kind: StepCreate, Year: y, CertEndAt: p.Dates(y).CertEndAt, Why: onDate("its key is due", at)}, DueAt: at, ReadyAt: at}
	if n == current {
		d.Why = onDate("it is the calendar's year", p.PreferAt.In(n))
	}
	if p.KeySource == SourceImport {
		d.Step = Step{Kind: StepImport, Year: y, Why: d.Why}
		d.ByHand, d.ReadyAt, d.Waits = true, time.Time{}, "its key and certificate come from elsewhere"
	}
	return d
}

// duePublish is the publishing of number n, of which rs are there.
func (p Policy) duePublish(rs []Record, n int, now time.Time) Due {
	at := p.PublishAt.In(n)
	r, last := newest(rs, Record.canSign), rs[len(rs)-1]
	switch {
	case r.Year == "" && last.KeyFault != "":
		return p.dueFaulty(last, at)
	case r.Year == "":
		return Due{Step: Step{Kind: StepImport, Year: last.Year, Why: onDate("it is to be published", at)},
			DueAt: at, ByHand: true, Waits: "its certificate has not come"}
	case r.certEnded(now):
		return Due{Step: Step{Kind: StepPublish, Year: r.Year}, DueAt: at, Waits: onDate("its certificate ended", r.CertEndAt)}
	}
	return Due{Step: Step{Kind: StepPublish, Year: r.Year, Why: onDate("its publishing is due", at)}, DueAt: at, ReadyAt: at}
}

// dueFaulty is the next step of a year that waits for its key to be restored.
func (p Policy) dueFaulty(r Record, at time.Time) Due {
	d := Due{Step: Step{Kind: StepPublish, Year: r.Year}, DueAt: at, Waits: r.KeyFault.Describe(r.Year)}
	switch {
	case r.CertEndAt.IsZero():
		d.Kind, d.ByHand = StepImport, true
	case r.live():
		d.Kind, d.DueAt = StepPrefer, p.Dates(r.Year).PreferAt
	}
	return d
}

// duePrefer is the preferring of r, which is published and newer than the
// preferred year. One that was published on its date is preferred on its date;
// one that came later than that gives service providers time, unless the
// certificate of the preferred year has ended.
func (p Policy) duePrefer(h History, r, preferred Record, now time.Time) Due {
	at := p.Dates(r.Year).PreferAt
	d := Due{Step: Step{Kind: StepPrefer, Year: r.Year, Why: onDate("its preferring is due", at)}, DueAt: at, ReadyAt: at}
	if !r.PublishedAt.Before(at) {
		d.ReadyAt = r.PublishedAt.Add(moveTime)
		d.Why = onDate("service providers have had time to move since it was published", r.PublishedAt)
		d.Waits = fmt.Sprintf("published late, on %s: service providers have %d days to move", date(r.PublishedAt), moveTime/day)
		if end := preferred.CertEndAt; end.Before(d.ReadyAt) {
			d.ReadyAt = later(end, at)
			d.Why = onDate(fmt.Sprintf("our signing certificate (%s) ended", preferred.Year), end)
		}
	}
	if h.Hold.Active(later(now, d.ReadyAt)) {
		d.Waits = fmt.Sprintf("held since the rollback of %s", date(h.Hold.Since))
		d.ReadyAt = h.Hold.Until
		if d.ReadyAt.IsZero() {
			d.Waits += ", until prefer or resume by hand"
		}
	}
	return d
}

// dueRetire is the retirement of r, which is older than the preferred year.
func (p Policy) dueRetire(h History, r Record, now time.Time) Due {
	at := p.Dates(r.Year).RetireAt
	d := Due{Step: Step{Kind: StepRetire, Year: r.Year, Why: onDate("its retirement is due", at)}, DueAt: at, ReadyAt: at}
	var why []string
	used := false
	for _, b := range h.bars(r, now) {
		why = append(why, b.why)
		used = used || b.use
		switch {
		case b.until.IsZero():
			d.ReadyAt = time.Time{}
		case !d.ReadyAt.IsZero():
			d.ReadyAt = later(d.ReadyAt, b.until)
		}
	}
	// What will be over by the date keeps nothing waiting.
	if d.ReadyAt.IsZero() || d.ReadyAt.After(at) {
		d.Waits, d.Used = strings.Join(why, "; "), used
	}
	return d
}

// dueDestroy is the end of the key of a year that is over.
func (h History) dueDestroy(r Record, now time.Time) Due {
	at := r.RetiredAt.Add(keepKeyTime)
	d := Due{Step: Step{Kind: StepDestroy, Year: r.Year, Why: onDate("it was retired", r.RetiredAt)}, DueAt: at, ReadyAt: at}
	if left := h.Clock.untrustedFor(); left > 0 && now.Add(left).After(at) {
		d.ReadyAt, d.Waits = now.Add(left), clockBar(h.Clock)
	}
	return d
}

// bar is something that keeps a year from being retired.
type bar struct {
	why string
	// until is when it is gone at the earliest; zero: not by waiting.
	until time.Time
	// use is one that --force overrides.
	use bool
}

// bars lists what keeps r from being retired at now, whatever its date.
func (h History) bars(r Record, now time.Time) (bars []bar) {
	if !h.Clock.Trusted() {
		b := bar{why: clockBar(h.Clock)}
		if !h.Clock.HasDrifted() {
			b.until = now.Add(h.Clock.untrustedFor())
		}
		bars = append(bars, b)
	}
	var successor time.Time
	for _, s := range h.Records {
		if s.Year > r.Year && s.live() && (successor.IsZero() || s.PublishedAt.Before(successor)) {
			successor = s.PublishedAt
		}
	}
	switch ready := successor.Add(successorTime); {
	case successor.IsZero():
		bars = append(bars, bar{why: "no newer year is published"})
	case ready.After(now):
		bars = append(bars, bar{until: ready, why: fmt.Sprintf("its successor was published on %s and must have been for %d days, until %s",
			date(successor), successorTime/day, date(ready))})
	}
	if quiet := h.Clock.Running - r.QuietFrom; quiet < quietTime {
		why := "it was not seen unused"
		if !r.UsedAt.IsZero() {
			why = onDate("it was last used", r.UsedAt)
		}
		bars = append(bars, bar{until: now.Add(quietTime - quiet), use: true,
			why: fmt.Sprintf("%s; the server must run for %d days without use, %s to go", why, quietTime/day, days(quietTime-quiet))})
	}
	return bars
}

func clockBar(c Clock) string {
	if c.HasDrifted() {
		return fmt.Sprintf("until %s the clock went forward by more than %d hours that the server did not run: no automatic step is taken until the time is confirmed",
			date(c.DriftedAt), driftTime/time.Hour)
	}
	return fmt.Sprintf("the clock jumped from %s to %s: nothing is retired until the server has run for %s more, or the time is confirmed",
		date(c.JumpedFrom), date(c.JumpedTo), days(c.untrustedFor()))
}

// newest is the last of rs that is so; zero if none is.
func newest(rs []Record, so func(Record) bool) Record {
	for _, r := range slices.Backward(rs) {
		if so(r) {
			return r
		}
	}
	return Record{}
}

// newest is the newest year that was ever made.
func (h History) newest() idp.Year {
	if len(h.Records) == 0 {
		return ""
	}
	return h.Records[len(h.Records)-1].Year
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func onDate(what string, t time.Time) string { return what + " on " + date(t) }

// days is a stretch in whole days, a part counted as one.
func days(d time.Duration) string {
	n := int((d + day - 1) / day)
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}
