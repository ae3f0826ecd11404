package rotation

import (
	"slices"
	"time"

	"vernal/idp"
)

// PastStep is a step that was taken, with its time.
type PastStep struct {
	Step
	At time.Time
}

// Replay repeats steps, in order, that were taken after the backup from which the history was
// restored. It returns the new history and the steps that changed it. Repeating Replay changes
// nothing.
//
// A backup lacks the keys that were made after it. Replay still records their years with their
// certificates, so that no other certificate takes a name that service providers know. They are
// closed until the key is back in the folder, or they are revoked. No such year becomes preferred,
// unless every other year that was preferred has ended: the installation must never prefer a year
// that was revoked.
func (h History) Replay(past []PastStep) (after History, applied []PastStep) {
	r := replay{h: h, lostYears: map[idp.Year]bool{}}
	for _, s := range past {
		before := r.h
		r.take(s)
		if !equalSteps(before, r.h) {
			applied = append(applied, s)
		}
	}
	if rec, _ := r.h.Record(r.h.Preferred); rec.IsOver() {
		r.h.Preferred = ""
		if last := findLast(r.h.Records, Record.isLive); last.Year != "" {
			r.h = r.h.prefer(last.Year, maxTime(last.PublishedAt, rec.RetiredAt))
		}
	}
	return r.h, applied
}

// ReplaceSteps returns the steps that make another year preferred in the place of the preferred
// one, whose key is missing: the next newer one that can sign, or else its next letter, which is
// made. The closed year stays, and opens again if its key is found. External keys cannot be made
// here, so then it returns no steps.
func (p Policy) ReplaceSteps(h History, now time.Time) (steps []Step) {
	if r, _ := h.Record(h.Preferred); r.KeyFault != KeyMissing {
		return nil
	}
	why := newReason(WhyTakesOver, Args{Year: h.Preferred})
	next, ok := h.findSuccessor(h.Preferred, now)
	if !ok {
		letter, left := h.findNextLetter(parseNumber(h.Preferred))
		if !left || p.KeySource == SourceImport {
			return nil
		}
		next = Record{Year: letter}
		create := p.CreateStep(h, letter, now)
		create.Cause = why
		steps = append(steps, create)
	}
	if next.PublishedAt.IsZero() {
		steps = append(steps, Step{Kind: StepPublish, Year: next.Year, Cause: why})
	}
	return append(steps, Step{Kind: StepPrefer, Year: next.Year, Cause: why})
}

// Reflects reports whether the history shows the effect of a past step.
func (h History) Reflects(s PastStep) bool {
	r, made := h.Record(s.Year)
	switch s.Kind {
	case StepCreate, StepCSR, StepImport:
		return made && !r.IsOther(s.CertificateSHA256, s.PublicKeySHA256) && (s.CertEndAt.IsZero() || !r.CertEndAt.IsZero())
	case StepPublish:
		return !r.PublishedAt.IsZero() || r.IsOver()
	case StepPrefer, StepRollback:
		return !r.PreferredAt.Before(s.At) || r.IsOver()
	case StepRetire:
		return r.IsOver()
	case StepRevoke:
		return !r.RevokedAt.IsZero()
	case StepDestroy:
		return !r.KeyDestroyedAt.IsZero()
	}
	return true
}

// replay is a history while steps are replayed on it.
type replay struct {
	h History
	// lostYears are the years whose keys were made after the backup.
	lostYears map[idp.Year]bool
}

func (r *replay) take(s PastStep) {
	rec, known := r.h.Record(s.Year)
	switch s.Kind {
	case StepCreate, StepCSR, StepImport:
		// The certificate of a key that the backup has can be imported again.
		if known && !r.lostYears[s.Year] || !s.Year.IsValid() || rec.IsOver() {
			return
		}
		r.lostYears[s.Year] = true
		r.h = r.h.Apply(s.Step, s.At).edit(s.Year, func(rec *Record) { rec.KeyFault = KeyMissing })
	case StepPublish:
		if rec.PublishedAt.IsZero() && !rec.IsOver() && !rec.CertEndAt.IsZero() {
			r.h = r.h.publish(s.Year, s.At)
		}
	case StepPrefer, StepRollback:
		if rec.isLive() && rec.KeyFault == "" && s.Year != r.h.Preferred && rec.PreferredAt.Before(s.At) {
			r.h = r.h.Apply(s.Step, s.At)
		}
	case StepRetire:
		if !rec.IsOver() {
			r.h = r.h.Apply(s.Step, s.At)
		}
	case StepRevoke:
		if known && rec.RevokedAt.IsZero() {
			r.revoke(s)
		}
	case StepDestroy:
		if rec.IsOver() && rec.KeyDestroyedAt.IsZero() {
			r.h = r.h.Apply(s.Step, s.At)
		}
	}
}

// revoke ends a year. Its successor was then the next year with a key, which may be lost.
func (r *replay) revoke(s PastStep) {
	_, signs := r.h.findSuccessor(s.Year, s.At)
	if s.Year == r.h.Preferred && !signs {
		i := slices.IndexFunc(r.h.Records, func(rec Record) bool {
			return rec.Year > s.Year && !rec.IsOver() && !rec.CertEndAt.IsZero()
		})
		if i >= 0 && r.h.Records[i].PublishedAt.IsZero() {
			r.h = r.h.publish(r.h.Records[i].Year, s.At)
		}
		if i >= 0 {
			r.h = r.h.prefer(r.h.Records[i].Year, s.At)
		}
	}
	if s.Year == r.h.Preferred && !signs {
		// The year ends even if no successor is known.
		r.h = r.h.edit(s.Year, func(rec *Record) { rec.RevokedAt, rec.RetiredAt, rec.Reason = s.At, s.At, s.Reason })
		return
	}
	r.h = r.h.Apply(s.Step, s.At)
}

// equalSteps reports whether two histories record the same steps.
func equalSteps(a, b History) bool {
	return a.Preferred == b.Preferred && slices.EqualFunc(a.Records, b.Records, func(a, b Record) bool {
		a.QuietReading, b.QuietReading = 0, 0
		return a == b
	})
}
