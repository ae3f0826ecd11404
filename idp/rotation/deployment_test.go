package rotation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

// deployment is an installation whose clock is turned: the policy, the history, and
// a log of the steps that automatic mode took.
type deployment struct {
	t   fataler
	p   Policy
	h   History
	now time.Time
	log []string
	// used are the years that some service provider uses every day.
	used []idp.Year
	// unmoved counts the service providers that have still to move.
	unmoved Counts
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// firstStart returns an installation that begins at now, in automatic mode.
func firstStart(t fataler, now string) *deployment {
	w := &deployment{t: t, p: DefaultPolicy(), now: at(now)}
	w.auto()
	return w
}

// auto takes the steps that are due, each checked as a store would.
func (w *deployment) auto() {
	w.t.Helper()
	w.h = w.h.Tick(w.now, 0)
	for _, s := range w.p.Steps(w.h, w.now) {
		h, err := w.p.Take(s, w.h, w.now)
		if err != nil {
			w.t.Fatalf("%s: automatic mode is refused: %v", w.now, err)
		}
		w.h = h
		w.log = append(w.log, fmt.Sprintf("%s %s %s", date(w.now), s.Kind, s.Year))
	}
}

// run lets the server run until then, looking once a day.
func (w *deployment) run(until string) *deployment {
	w.t.Helper()
	w.runTo(at(until))
	return w
}

func (w *deployment) runTo(end time.Time) {
	w.t.Helper()
	for w.now.Before(end) {
		next := w.now.Truncate(day).Add(day)
		if next.After(end) {
			next = end
		}
		w.h = w.h.Tick(next, next.Sub(w.now))
		w.now = next
		for _, y := range w.used {
			if w.h.State(y, w.now).IsLive() {
				w.h = w.h.Use(y, w.now)
			}
		}
		w.auto()
	}
}

// down stops the server and starts it again then; or sets its clock.
func (w *deployment) down(until string) *deployment {
	w.t.Helper()
	w.now = at(until)
	w.h = w.h.StartClock(w.now)
	w.auto()
	return w
}

// try takes a step by hand.
func (w *deployment) try(s Step) error {
	h, err := w.p.Take(s, w.h, w.now)
	w.h = h
	return err
}

// hand takes steps by hand that must be allowed: "publish 2027".
func (w *deployment) hand(steps ...string) *deployment {
	w.t.Helper()
	for _, text := range steps {
		if err := w.try(w.step(text)); err != nil {
			w.t.Fatalf("%s: %v", date(w.now), err)
		}
	}
	return w
}

// step reads "KIND YEAR [ARGUMENT]": for import the end of the certificate, for
// rollback that of the hold, for retire "force".
func (w *deployment) step(text string) Step {
	f := strings.Fields(text)
	s := Step{Kind: StepKind(f[0])}
	if len(f) > 1 {
		s.Year = idp.Year(f[1])
	}
	switch s.Kind {
	case StepCreate:
		s = w.p.CreateStep(w.h, s.Year, w.now)
	case StepImport:
		s.CertEndAt = DefaultPolicy().Dates(s.Year).CertEndAt
		if len(f) > 2 {
			s.CertEndAt = at(f[2])
		}
	case StepRollback:
		if len(f) > 2 {
			s.HoldEndAt = at(f[2])
		}
	case StepRetire:
		if len(f) > 2 {
			s.Force, s.Reason = true, "the last ones were notified"
		}
	case StepRevoke:
		s.Reason = "leaked"
	}
	return s
}

// wantLog compares the steps taken and begins a new log.
func (w *deployment) wantLog(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.log); diff != "" {
		t.Errorf("%s: steps taken (-want +got):\n%s", date(w.now), diff)
	}
	w.log = nil
}

// wantStates compares the states of all years made.
func (w *deployment) wantStates(t *testing.T, want map[idp.Year]State) {
	t.Helper()
	if diff := cmp.Diff(want, w.h.all(w.now)); diff != "" {
		t.Errorf("%s: states (-want +got):\n%s", date(w.now), diff)
	}
}

func (h History) all(now time.Time) map[idp.Year]State {
	all := map[idp.Year]State{}
	for _, r := range h.Records {
		all[r.Year] = h.State(r.Year, now)
	}
	return all
}

// attention lists the reasons for attention as "code year".
func (w *deployment) attention() (all []string) {
	for _, a := range w.p.Attention(w.h, w.now, w.unmoved) {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s", a.Code, a.Year)))
	}
	return all
}

func (w *deployment) wantAttention(t *testing.T, want ...string) {
	t.Helper()
	if got := w.attention(); !slices.Equal(got, want) {
		t.Errorf("%s: attention = %q, want %q\n%v", date(w.now), got, want, w.p.Attention(w.h, w.now, w.unmoved))
	}
}

// wantRefused checks that err is a refusal for the reason.
func wantRefused(t *testing.T, err error, want Reason) {
	t.Helper()
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Errorf("not refused (%v), want: %s", err, want)
	} else if diff := cmp.Diff(want, refused.Reason); diff != "" {
		t.Errorf("refused because (-want +got):\n%s", diff)
	}
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }
