package rotation

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vernal/idp"
)

// drawPolicy draws a calendar that Validate accepts.
func drawPolicy(t *rapid.T) Policy {
	p := DefaultPolicy()
	// Days from New Year of year N, each drawn after the one before.
	make := rapid.IntRange(-120, 200).Draw(t, "make")
	publish := make + rapid.IntRange(0, 40).Draw(t, "publish")
	prefer := publish + rapid.IntRange(1, 60).Draw(t, "prefer")
	end := publish + 366 + rapid.IntRange(28, 300).Draw(t, "end")
	retire := max(end, publish+366+121) + rapid.IntRange(0, 200).Draw(t, "retire")
	for _, d := range []struct {
		to   *Date
		days int
	}{{&p.MakeAt, make}, {&p.PublishAt, publish}, {&p.PreferAt, prefer}, {&p.CertEndAt, end}, {&p.RetireAt, retire}} {
		on := time.Date(2027, time.January, 1+d.days, 0, 0, 0, 0, time.UTC)
		*d.to = Date{on.Year() - 2027, on.Month(), on.Day()}
	}
	if p.Validate() != nil {
		t.Skip("no calendar")
	}
	p.KeySource = rapid.SampledFrom([]KeySource{SourceGenerate, SourceGenerate, SourceImport}).Draw(t, "source")
	p.Manual = rapid.IntRange(0, 4).Draw(t, "manual") == 0
	return p
}

// life is a deployment in which everything happens, and what must hold is checked
// after every step.
type life struct {
	deployment
	rt *rapid.T
}

// newLife begins at any time, with a preferred year.
func newLife(t *rapid.T) *life {
	l := &life{rt: t, deployment: deployment{t: t, p: drawPolicy(t), now: drawTime(t)}}
	p := l.p
	l.p.KeySource = SourceGenerate // the first one is there, wherever others come from
	first := l.p
	first.Manual = false
	for _, s := range first.Steps(History{}, l.now) {
		l.take(s)
	}
	l.p = p
	return l
}

// take takes a step that must be allowed, and checks it.
func (l *life) take(s Step) {
	l.rt.Helper()
	if err := l.attempt(s); err != nil {
		l.rt.Fatalf("%s: %v", l.now, err)
	}
}

// attempt takes a step if it is allowed, and checks what must hold.
func (l *life) attempt(s Step) error {
	l.rt.Helper()
	before := l.h.Tick(l.now, 0)
	if err := l.try(s); err != nil {
		return err
	}
	l.checkMove(before, s)
	l.checkPreferred()
	return nil
}

// checkPreferred checks that exactly one year is preferred, and that it can sign.
func (l *life) checkPreferred() {
	l.rt.Helper()
	var preferred []idp.Year
	for y, s := range l.h.all(l.now) {
		if s == Preferred {
			preferred = append(preferred, y)
		}
	}
	if len(preferred) != 1 {
		if len(preferred) == 0 && len(l.log) == 0 && l.h.Preferred == "" {
			return // the first start is under way
		}
		l.rt.Fatalf("%s: preferred are %v", l.now, preferred)
	}
	l.log = append(l.log, "started")
	if r, _ := l.h.Record(preferred[0]); !r.canSign() || !r.isLive() {
		l.rt.Fatalf("%s: the preferred year cannot sign: %+v", l.now, r)
	}
}

// rank orders the states of a year's life. Grace and expiring differ by the
// time alone, which can go backward.
func rank(s State) int {
	if s == Grace {
		s = Expiring
	}
	return slices.Index([]State{Planned, Created, Published, Preferred, Expiring, Retired, Revoked}, s)
}

// checkMove checks that only a rollback moves a year back, and that no endpoint URL closes
// too early.
func (l *life) checkMove(before History, s Step) {
	l.rt.Helper()
	for _, r := range l.h.Records {
		from, to := before.State(r.Year, l.now), l.h.State(r.Year, l.now)
		if rank(to) < rank(from) && s.Kind != StepRollback {
			l.rt.Fatalf("%s: %s %s takes %s from %s back to %s", l.now, s.Kind, s.Year, r.Year, from, to)
		}
		if from.IsOver() && !to.IsOver() {
			l.rt.Fatalf("%s: %s %s brings %s back from %s", l.now, s.Kind, s.Year, r.Year, from)
		}
		if to.IsOver() && !from.IsOver() && s.Kind != StepRevoke {
			l.checkEnd(before, s, r)
		}
	}
}

// checkEnd checks that the step was allowed to retire r.
func (l *life) checkEnd(before History, s Step, r Record) {
	l.rt.Helper()
	known := slices.ContainsFunc(before.Records, func(o Record) bool {
		return o.Year > r.Year && o.isLive() && l.now.Sub(o.PublishedAt) >= 120*day
	})
	switch {
	case s.Kind != StepRetire || s.Year != r.Year:
		l.rt.Fatalf("%s: %s %s retires %s", l.now, s.Kind, s.Year, r.Year)
	case r.Year >= before.Preferred:
		l.rt.Fatalf("%s: %s retired while %s is preferred", l.now, r.Year, before.Preferred)
	case !s.Cause.IsZero() && l.now.Before(l.p.Dates(r.Year).RetireAt):
		l.rt.Fatalf("%s: automatic mode retires %s before %s", l.now, r.Year, l.p.Dates(r.Year).RetireAt)
	case !known:
		l.rt.Fatalf("%s: %s retired without 120 days of a successor", l.now, r.Year)
	case !s.Force && before.Clock.RunningTime-r.QuietReading < 14*day:
		l.rt.Fatalf("%s: %s retired in use", l.now, r.Year)
	case !before.Clock.IsTrusted():
		l.rt.Fatalf("%s: %s retired by a wrong clock", l.now, r.Year)
	}
}

// auto takes the automatic steps; afterwards none is left.
func (l *life) auto() {
	l.rt.Helper()
	l.h = l.h.Tick(l.now, 0)
	steps := l.p.Steps(l.h, l.now)
	for i, s := range steps {
		if slices.IndexFunc(steps, func(o Step) bool { return o.Kind == s.Kind && o.Year == s.Year }) != i {
			l.rt.Fatalf("%s: %s %s is taken twice: %v", l.now, s.Kind, s.Year, steps)
		}
		l.take(s)
	}
	if left := l.p.Steps(l.h, l.now); len(left) > 0 {
		l.rt.Fatalf("%s: steps are left: %v", l.now, left)
	}
}

// year draws one of the years there are or that come next.
func (l *life) year() idp.Year {
	years := []idp.Year{formatYear(l.p.findNumber(l.now)), formatYear(l.p.findNumber(l.now) + 1)}
	for _, r := range l.h.Records {
		next, _ := l.h.findNextLetter(parseNumber(r.Year))
		years = append(years, r.Year, next)
	}
	return rapid.SampledFrom(years).Draw(l.rt, "year")
}

// hand tries a step by hand, which may be refused.
func (l *life) hand() {
	kind := rapid.SampledFrom([]StepKind{StepCreate, StepCSR, StepImport, StepPublish, StepPrefer, StepRetire,
		StepDestroy, StepRollback, StepResume, StepRevoke, StepConfirm}).Draw(l.rt, "kind")
	s := Step{Kind: kind, Year: l.year(), Reason: "so", Force: rapid.Bool().Draw(l.rt, "force")}
	switch kind {
	case StepCreate:
		s = l.p.CreateStep(l.h, s.Year, l.now)
	case StepImport:
		s.CertEndAt = l.now.Add(time.Duration(rapid.IntRange(1, 600).Draw(l.rt, "end")) * day)
	case StepRollback:
		if rapid.Bool().Draw(l.rt, "until") {
			s.HoldEndAt = l.now.Add(20 * day)
		}
	case StepRevoke:
		steps, err := l.p.RevokeSteps(l.h, s.Year, "leaked", l.now)
		if err != nil {
			return
		}
		for _, s := range steps {
			l.take(s)
		}
		return
	}
	_ = l.attempt(s)
}

func TestEverySequenceOfStepsKeepsTheRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := newLife(t)
		t.Repeat(map[string]func(*rapid.T){
			"run": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "weeks") {
					l.now = l.now.Add(7 * day)
					l.h = l.h.Tick(l.now, 7*day)
					l.auto()
				}
			},
			"down": func(t *rapid.T) {
				l.now = l.now.Add(time.Duration(rapid.IntRange(-400, 800).Draw(t, "days")) * day)
				l.h = l.h.StartClock(l.now)
				l.auto()
			},
			"use": func(t *rapid.T) {
				if y := l.year(); l.h.State(y, l.now).IsLive() {
					l.h = l.h.Use(y, l.now)
				}
			},
			"by hand": func(*rapid.T) { l.hand() },
			"look": func(*rapid.T) {
				l.p.Plan(l.h, l.now, 3)
				l.p.Attention(l.h, l.now, nil)
			},
			"": func(*rapid.T) { l.checkPreferred() },
		})
	})
}

// TestAutomaticModeKeepsThreeYearsAtMost checks that an unattended installation has at most
// two years in addition to the preferred one, and that every year is preferred on its date.
func TestAutomaticModeKeepsThreeYearsAtMost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		p.Manual, p.KeySource = false, SourceGenerate
		w := &deployment{t: t, p: p, now: drawTime(t)}
		first := p.FirstYears(w.now)
		w.auto()
		var made []idp.Year
		for _, r := range w.h.Records {
			made = append(made, r.Year)
		}
		if !slices.Equal(made, first) || w.h.Preferred != first[0] {
			t.Fatalf("%s: made %v, preferred %s; want %v", w.now, made, w.h.Preferred, first)
		}
		var full []MadeKey
		for _, y := range first {
			full = append(full, MadeKey{Year: y, CertEndAt: p.Dates(y).CertEndAt, HasKey: true})
		}
		if diff := cmp.Diff(p.Begin(full, w.now).all(w.now), w.h.all(w.now)); diff != "" {
			t.Fatalf("not the states that init records:\n%s", diff)
		}
		w.runTo(w.now.AddDate(4, 0, 0))
		for n := parseNumber(w.h.Preferred); n > parseNumber(first[0]); n-- {
			r, _ := w.h.Record(formatYear(n))
			want := fmt.Sprint(p.PublishAt.Resolve(n), p.PreferAt.Resolve(n))
			if slices.Contains(first, r.Year) {
				want = fmt.Sprint(r.PublishedAt, p.PreferAt.Resolve(n))
			}
			if got := fmt.Sprint(r.PublishedAt, r.PreferredAt); got != want {
				t.Fatalf("%s published and preferred at %s, want %s", r.Year, got, want)
			}
		}
		if a := p.Attention(w.h, w.now, nil); slices.ContainsFunc(a, func(a Attention) bool { return a.Code != CertEnded && a.Code != CertEnding }) {
			t.Fatalf("%s: attention without a cause: %v", w.now, a)
		}
	})
}
