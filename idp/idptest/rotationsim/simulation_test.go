package rotationsim

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
	"vernal/idp/server"
)

// deployment is the server, its partners, and the wall calendar.
type deployment struct {
	t        *testing.T
	i        *idptest.IdP
	partners []*partner
	changes  map[string]bool
	ticked   time.Time // when the server last wrote down its running time

	person   *idptest.User
	browser  *idptest.Browser // of the day
	signedIn bool
	signIns  int

	stableAt  string
	stableDoc *crewjam.EntityDescriptor
	pems      map[idp.Year]string
	ends      map[string]time.Time
}

func (w *deployment) now() time.Time { return w.i.Clock.Now() }
func (w *deployment) day() string    { return w.now().Format(time.DateOnly) }
func (w *deployment) stamp() string  { return w.now().Format("2006-01-02 15:04") }

func (w *deployment) dayNumber() int { return int(w.now().Unix() / 86400) }

// TestThreeYearsRotateOnSchedule lives through the springs of 2026 to 2028;
// TestTenYearsRotateOnSchedule, which takes minutes, through all expected dates.
func TestThreeYearsRotateOnSchedule(t *testing.T) { simulate(t, "2028-10-01", 300) }

// simulate simulates every day until a day, with so many sign-ins at least.
func simulate(t *testing.T, until string, least int) {
	debug.SetGCPercent(server.GCPercent)
	w := &deployment{t: t, changes: changes(), pems: map[idp.Year]string{}, ends: map[string]time.Time{}}
	w.i = idptest.New(t, idptest.Options{Now: at(begin), Log: slog.DiscardHandler, FirstStart: true})
	w.ticked = w.now()
	w.person = w.i.AddUser("ada@example.gov")
	for _, p := range partners() {
		p.Provider = w.i.AddProvider("https://"+p.name+".example", func(s *idp.ServiceProvider) {
			if p.unsigned {
				s.SignRequests, s.Certs = idp.SignRequestsOptional, nil
			}
		})
		p.last = map[idp.Year]time.Time{}
		p.move(w, preferred(w.now()))
		w.partners = append(w.partners, p)
	}
	random := rand.New(rand.NewPCG(2026, 2036)) // the same visits every time
	for !w.now().After(at(until)) && !t.Failed() {
		w.simulateDay(random)
	}
	w.compareTrail()
	if t.Failed() {
		return // the end was not reached
	}
	w.compareKeys()
	t.Logf("%d sign-ins", w.signIns)
	if w.signIns < least {
		t.Errorf("%d sign-ins, want %d or more for the test to mean something", w.signIns, least)
	}
}

// simulateDay simulates one day, from 00:00 to 00:00. It shortens days on which nothing is due,
// except every tenth.
func (w *deployment) simulateDay(random *rand.Rand) {
	if until, is := down(w.now()); is {
		w.i.Stop()
		w.turn(until)
		w.i.Start()
		w.ticked = until // a server counts its running time from its start
	}
	_, busy := w.changes[w.day()]
	if busy || w.dayNumber()%10 == 0 {
		w.runs()
		w.compare()
		w.compareBoard()
		w.compareAttention()
		w.turn(w.noon(0))
		w.use(random)
		w.turn(w.noon(5))
		w.runs() // uses are written within a minute
	}
	if busy {
		w.turn(w.noon(10))
		w.operate()
		w.runs()
		w.turn(w.noon(12*60 - 1))
		w.runs()
		w.compare()
	}
	if _, err := w.i.Store.Sweep(w.t.Context(), w.now(), 1000); err != nil {
		w.t.Fatal(err)
	}
	w.turn(w.noon(12 * 60))
}

// noon returns today's 12:00 plus some minutes.
func (w *deployment) noon(minutes int) time.Time {
	return w.now().Truncate(24 * time.Hour).Add(12*time.Hour + time.Duration(minutes)*time.Minute)
}

// turn turns the clock forward.
func (w *deployment) turn(to time.Time) { w.i.Clock.Advance(to.Sub(w.now())) }

// runs does the server's work of every minute.
func (w *deployment) runs() {
	w.t.Helper()
	now := w.now()
	if err := w.i.Rotation.Tick(w.t.Context(), now.Sub(w.ticked)); err != nil {
		w.t.Fatalf("%s: tick: %v", w.stamp(), err)
	}
	w.ticked = now
	if _, err := w.i.Rotation.TakeDueSteps(w.t.Context()); err != nil {
		w.t.Fatalf("%s: automatic: %v", w.stamp(), err)
	}
	if err := w.i.Usage.Flush(w.t.Context()); err != nil {
		w.t.Fatalf("%s: board: %v", w.stamp(), err)
	}
	w.stableAt = "" // it may have changed
}

// use lets the partners move and users sign in.
func (w *deployment) use(random *rand.Rand) {
	w.t.Helper()
	w.browser, w.signedIn = w.i.Browser(), false
	for _, p := range w.partners {
		if y, moves := p.moves(p, w); moves {
			p.move(w, y)
		}
		if !p.visits(w, random) {
			continue
		}
		err := p.visit(w)
		var gone *errGone
		if errors.As(err, &gone) && w.isPushed(p, gone) {
			p.move(w, preferred(w.now()))
			err = p.visit(w)
		}
		if err != nil {
			w.t.Errorf("%s: sign-in at %s, which uses %s: %v", w.stamp(), p.name, p.year, err)
		}
		w.signIns++
	}
}

// isPushed reports whether a partner was pushed off its year on the expected date:
// the one that never moves when its year was retired, all when theirs leaked. A
// follower has the word of the stable metadata. The page names where to go.
func (w *deployment) isPushed(p *partner, gone *errGone) bool {
	w.t.Helper()
	s := state(p.year, w.now())
	if s != rotation.Revoked && (s != rotation.Retired || p.name != "never") {
		return false
	}
	if y := string(preferred(w.now())); !strings.Contains(gone.page.Text(), y) {
		w.t.Errorf("%s: the page for %s, which is over, does not name %s:\n%s", w.stamp(), p.year, y, gone.page.Text())
	}
	return true
}

// operate takes the operator's steps of today.
func (w *deployment) operate() {
	w.t.Helper()
	for _, h := range byHand {
		if h.day != w.day() {
			continue
		}
		var err error
		step, expect := h.step, h.step.Cause.Code
		step.Cause = rotation.Reason{}
		_, err = w.i.Rotation.Take(w.t.Context(), step, "ops", false)
		var refused *rotation.RefusedError
		switch {
		case expect == "":
			if err != nil {
				w.t.Errorf("%s: %s %s: %v", w.stamp(), step.Kind, step.Year, err)
			}
		case !errors.As(err, &refused) || refused.Reason.IsUse() != (expect == notYet):
			w.t.Errorf("%s: %s %s: %v, want that it is %s", w.stamp(), step.Kind, step.Year, err, expect)
		case expect == notYet && !slices.Equal(refused.Reason.Args.SPs, []idp.EntityID{"https://never.example"}):
			w.t.Errorf("%s: %s %s is refused because of %v", w.stamp(), step.Kind, step.Year, refused.Reason)
		}
	}
	w.stableAt = ""
}

// compareKeys checks which key files are left in the end.
func (w *deployment) compareKeys() {
	w.t.Helper()
	st, err := w.i.Rotation.Status(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range lives {
		if at(l.created).After(w.now()) {
			continue
		}
		i := slices.IndexFunc(st.Years, func(y rotation.YearStatus) bool { return y.Year == l.year })
		gone := l.destroyed != "" && !at(l.destroyed).After(w.now())
		if i < 0 || st.Years[i].KeyDestroyedAt.IsZero() == gone {
			w.t.Errorf("the key of %s is not as it should be in the end: %+v", l.year, st.Years)
		}
	}
}
