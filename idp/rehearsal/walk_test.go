package rehearsal_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/rehearsal"
	"vernal/idp/rotation"
	"vernal/idp/session"
	"vernal/idp/sharelink"
)

// deployment is a server and the rehearsals on it.
type deployment struct {
	t *testing.T
	*idptest.IdP
	service *rehearsal.Service
	next    idp.Year
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	return newDeploymentAt(t, "")
}

// newDeploymentAt is newDeployment at a base URL, where only the Handler answers.
func newDeploymentAt(t *testing.T, baseURL string) *deployment {
	t.Helper()
	now := time.Now().UTC()
	next := rotation.DefaultPolicy().FirstYears(now)
	year := after(next[len(next)-1])
	i := idptest.New(t, idptest.Options{Years: []idp.Year{year}, BaseURL: baseURL})
	return &deployment{t: t, IdP: i, next: year, service: &rehearsal.Service{
		Sessions: &session.Manager{
			Store: i.Store, Clock: i.Clock.Now, IdleTimeout: time.Hour, AbsoluteTimeout: time.Hour, Secure: strings.HasPrefix(baseURL, "https:"),
		},
		Registry: i.Registry, Links: i.Links, Years: i.Years, BaseURL: i.URL, Clock: i.Clock.Now,
	}}
}

// after returns the year after y.
func after(y idp.Year) idp.Year {
	at, err := time.Parse("2006", string(y)[:4])
	if err != nil {
		panic(err)
	}
	return idp.Year(at.AddDate(1, 0, 0).Format("2006"))
}

func (w *deployment) begin(y idp.Year) *rehearsal.Walk {
	w.t.Helper()
	key, cert, err := rehearsal.NewKey("rehearsal", w.Clock.Now(), w.Clock.Now().Add(time.Hour))
	if err != nil {
		w.t.Fatal(err)
	}
	terms, err := w.service.Begin(w.t.Context(), y, cert, "cli:uid=0")
	if err != nil {
		w.t.Fatal(err)
	}
	return &rehearsal.Walk{Terms: terms, Key: key, Cert: cert, Client: rehearsal.NewClient(rehearsal.Connection{}), Clock: w.Clock.Now}
}

// failed returns the steps that failed.
func failed(results []rehearsal.Result) (names []string) {
	for _, r := range results {
		if !r.OK {
			names = append(names, r.Step)
		}
	}
	return names
}

func TestRehearsalPassesAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, which := range []string{"created", "preferred"} {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t)
			year := w.next
			if which == "preferred" {
				year = w.Year()
			}
			walk := w.begin(year)
			for _, r := range walk.Run(t.Context()) {
				if !r.OK {
					t.Errorf("%s: %s", r.Step, r.Text)
				}
				t.Log(r)
			}
			if err := w.service.End(t.Context(), walk.Terms.ID, nil, "cli:uid=0"); err != nil {
				t.Fatal(err)
			}
			w.nothingLeft(walk)
		})
	}
}

// nothingLeft checks that what a rehearsal was given is gone, and that only the audit trail
// records the rehearsal.
func (w *deployment) nothingLeft(walk *rehearsal.Walk) {
	w.t.Helper()
	if bad := failed(walk.Run(w.t.Context())); !contains(bad, "redirect") || !contains(bad, "post") {
		w.t.Errorf("after its end a rehearsal still works; only %v failed", bad)
	}
	if links, err := w.Links.List(w.t.Context(), sharelink.Preview); err != nil || len(links) != 0 {
		w.t.Errorf("links are left: %v, %v", links, err)
	}
	if list, err := w.Registry.List(w.t.Context()); err != nil || len(list) != 0 {
		w.t.Errorf("it is in the registry: %v, %v", list, err)
	}
	if err := w.Usage.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if b, err := w.IdP.Board.Board(w.t.Context()); err != nil || len(b.SPs)+len(b.Fetches) != 0 {
		w.t.Errorf("it is on the board: %+v, %v", b, err)
	}
	st, err := w.Rotation.Status(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, y := range st.Years {
		if !y.UsedAt.IsZero() {
			w.t.Errorf("it counts as use of %s", y.Year)
		}
	}
	if people, err := w.Store.Users(w.t.Context(), idp.UserQuery{Limit: 10}); err != nil || len(people) != 0 {
		w.t.Errorf("it is among the people: %v, %v", people, err)
	}
	if s, err := w.Store.Sessions(w.t.Context(), idp.SessionQuery{User: idp.RehearsalUser}); err != nil || len(s) != 0 {
		w.t.Errorf("sessions are left: %v, %v", s, err)
	}
	records, err := audit.Records(w.t.Context(), w.Store, 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	outcomes := ""
	for _, r := range records {
		if r.Kind == "sign_in" {
			w.t.Errorf("a rehearsal is recorded as a sign-in: %+v", r)
		}
		if r.Kind == "rotation.rehearse" {
			outcomes += r.Outcome + " "
		}
	}
	if outcomes != "begun ok ok ok " { // two Responses between beginning and end
		w.t.Errorf("outcomes recorded: %q", outcomes)
	}
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

func TestSecondRehearsalIsRefused(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	_, cert, err := rehearsal.NewKey("rehearsal", w.Clock.Now(), w.Clock.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var refused *rehearsal.RefusedError
	if _, err := w.service.Begin(t.Context(), after(w.next), cert, "x"); !errors.As(err, &refused) ||
		len(refused.Suggestions) != 1 || refused.Suggestions[0].Do != "rotation.create" {
		t.Errorf("a year that was never made: %v", err)
	}
	w.begin(w.next)
	if _, err := w.service.Begin(t.Context(), w.next, cert, "x"); !errors.As(err, &refused) || !strings.Contains(err.Error(), "another rehearsal") {
		t.Errorf("a second rehearsal at once: %v", err)
	}
	w.Clock.Advance(rehearsal.Lifetime)
	walk := w.begin(w.next) // the first one was cut off
	if bad := failed(walk.Run(t.Context())); len(bad) > 0 {
		t.Errorf("after one that was cut off: %v failed", bad)
	}
	if err := w.service.End(t.Context(), "another", nil, "x"); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("end of another rehearsal: %v", err)
	}
	if err := w.service.End(t.Context(), walk.Terms.ID, []string{"redirect", "ada@example.gov"}, "x"); err != nil {
		t.Error(err)
	}
	records, err := audit.Records(t.Context(), w.Store, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Kind == "rotation.rehearse" && r.Outcome == "failed" && r.Detail["steps"] == "redirect" {
			return
		}
	}
	t.Errorf("the failure is not recorded: %+v", records)
}

// TestRehearsalTermsOpenNothingElse checks that what a rehearsal was given expires
// automatically and opens nothing else.
func TestRehearsalTermsOpenNothingElse(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	walk := w.begin(w.next)
	a := w.AddProvider("https://a.example")

	// The session, in a browser that goes to a real service provider, under its
	// own name and as a session of ours.
	for _, name := range []string{walk.Terms.CookieName, "vernal-session", "vernal-signin"} {
		req, err := http.NewRequest(http.MethodGet, a.URL(&idptest.Request{}), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.AddCookie(&http.Cookie{Name: name, Value: walk.Terms.CookieValue})
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusSeeOther {
			t.Errorf("as %s: %s, want a 303 to the sign-in", name, resp.Status)
		}
	}

	// The rehearsal's service provider cannot use another year, another key, or a user's
	// session.
	stolen := *walk
	key, cert, err := rehearsal.NewKey("rehearsal", w.Clock.Now(), w.Clock.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	stolen.Key, stolen.Cert = key, cert
	if bad := failed(stolen.Run(t.Context())); !contains(bad, "redirect") || !contains(bad, "post") {
		t.Errorf("a key of one's own: only %v failed", bad)
	}
	otherWalk, terms := *walk, *walk.Terms
	terms.Year, terms.Token = w.Year(), ""
	otherWalk.Terms = &terms
	if bad := failed(otherWalk.Run(t.Context())); !contains(bad, "redirect") || !contains(bad, "post") {
		t.Errorf("another year: only %v failed", bad)
	}
	alone, terms2 := *walk, *walk.Terms
	terms2.CookieValue = "none"
	alone.Terms = &terms2
	if bad := failed(alone.Run(t.Context())); !contains(bad, "redirect") || !contains(bad, "post") {
		t.Errorf("without its session: only %v failed", bad)
	}

	// The rehearsal's service provider does not see a signed-in user, under either name.
	person, browser := w.AddUser("ada@example.gov"), w.Browser()
	browser.SignIn(browser.Get(a.URL(&idptest.Request{})), person)
	for _, c := range browser.Cookies() {
		if c.Name != "vernal-session" {
			continue
		}
		for _, name := range []string{c.Name, walk.Terms.CookieName} {
			shown, terms := *walk, *walk.Terms
			terms.CookieName, terms.CookieValue = name, c.Value
			shown.Terms = &terms
			if bad := failed(shown.Run(t.Context())); !contains(bad, "redirect") || !contains(bad, "post") {
				t.Errorf("a person's session as %s: only %v failed", name, bad)
			}
		}
	}

	w.Clock.Advance(rehearsal.Lifetime)
	if bad := failed(walk.Run(t.Context())); !contains(bad, "metadata") || !contains(bad, "redirect") || !contains(bad, "post") {
		t.Errorf("when its time is over: only %v failed", bad)
	}
}
