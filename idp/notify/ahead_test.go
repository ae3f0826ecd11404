package notify_test

import (
	"crypto"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/notify"
	"vernal/idp/rotation"
)

// untilDay runs until a day and lists the notices that the webhook got meanwhile:
// day, kind and ID, with the number of service providers that they name.
func (w *deployment) untilDay(to string, servers ...*notify.Service) (lines []string) {
	w.t.Helper()
	before := len(w.hook.notices())
	w.run(to, servers...)
	for _, n := range w.hook.notices()[before:] {
		line := n.At.Format(time.DateOnly) + " " + string(n.Kind) + " " + n.ID
		if n.Kind == notify.StepTaken {
			line = n.At.Format(time.DateOnly) + " " + string(n.Kind) + " " + string(n.Step) + "/" + string(n.Year)
		}
		if len(n.SPs) > 0 {
			line += " sps=" + string(rune('0'+len(n.SPs)))
		}
		lines = append(lines, line)
	}
	return lines
}

func wantLines(t *testing.T, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

// TestNoticesOfAYear checks the notices of a year in which one service provider moves on 10
// March and the other on 3 July, too late. Two servers notify at the same time, and one of
// them restarts every few days.
func TestNoticesOfAYear(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2026-11-22")
	w.add("https://a.example", nil)
	w.add("https://b.example", nil)
	w.uses = func(now time.Time) map[idp.EntityID]idp.Year {
		u := map[idp.EntityID]idp.Year{"https://a.example": "2026", "https://b.example": "2026"}
		if !now.Before(date("2027-03-10")) {
			u["https://a.example"] = "2027"
		}
		if !now.Before(date("2027-07-03")) {
			u["https://b.example"] = "2027"
		}
		return u
	}
	one, two := w.server(), w.server()
	w.tick(one)
	var got []string
	for w.Clock.Now().Before(date("2027-11-20")) {
		got = append(got, w.untilDay(w.Clock.Now().AddDate(0, 0, 5).Format(time.DateOnly), one, two)...)
		two = w.server()
	}
	slices.Sort(got) // within a day
	want := []string{
		"2027-01-01 certificate_ends certificate_ends/2026/2027-04-01/90",
		"2027-01-01 step_ahead create/2027/2027-01-15/14",
		"2027-01-14 step_ahead create/2027/2027-01-15/1",
		"2027-01-15 step_taken create/2027",
		"2027-01-18 step_ahead publish/2027/2027-02-01/14",
		"2027-01-31 certificate_ends certificate_ends/2026/2027-04-01/60",
		"2027-01-31 step_ahead publish/2027/2027-02-01/1",
		"2027-02-01 step_taken publish/2027",
		"2027-02-15 step_ahead prefer/2027/2027-03-01/14",
		"2027-02-28 step_ahead prefer/2027/2027-03-01/1",
		"2027-03-01 step_taken prefer/2027",
		"2027-03-02 certificate_ends certificate_ends/2026/2027-04-01/30 sps=2",
		// The one that moved on the 10th used 2026 within 14 days.
		"2027-03-18 certificate_ends certificate_ends/2026/2027-04-01/14 sps=2",
		"2027-03-25 certificate_ends certificate_ends/2026/2027-04-01/7 sps=1",
		"2027-03-31 certificate_ends certificate_ends/2026/2027-04-01/1 sps=1",
		"2027-04-01 certificate_ended certificate_ended/2026",
		"2027-04-02 retirement retire/2026/2027-07-01/90 sps=1",
		"2027-05-02 retirement retire/2026/2027-07-01/60 sps=1",
		"2027-06-01 retirement retire/2026/2027-07-01/30 sps=1",
		"2027-06-17 step_ahead retire/2026/2027-07-01/14 sps=1",
		"2027-06-24 retirement retire/2026/2027-07-01/7 sps=1",
		"2027-06-30 step_ahead retire/2026/2027-07-01/1 sps=1",
	}
	for d := date("2027-07-01"); d.Before(date("2027-07-16")); d = d.AddDate(0, 0, 1) {
		day := d.Format(time.DateOnly)
		want = append(want, day+" attention attention/"+day+"/step_held/2026")
	}
	want = append(want,
		// Its last use was on 2 July: the date is the one on which it is retired.
		"2027-07-15 step_ahead retire/2026/2027-07-16/1 sps=1",
		"2027-07-16 step_taken retire/2026",
		"2027-08-01 step_ahead destroy/2026/2027-08-15/14",
		"2027-08-14 step_ahead destroy/2026/2027-08-15/1",
		"2027-08-15 step_taken destroy/2026",
	)
	wantLines(t, want, got)
	if mails, calls := len(w.mail.Mails()), len(w.hook.notices()); mails != calls {
		t.Errorf("%d mails, %d calls of the webhook", mails, calls)
	}
	for _, n := range w.hook.notices() {
		if n.ID == "retire/2026/2027-07-16/1" {
			wantNotice(t, n, notify.Notice{ID: n.ID, At: date("2027-07-15"), Kind: notify.StepAhead, Year: "2026", Step: rotation.StepRetire,
				DueAt: date("2027-07-16"), SPs: n.SPs})
		}
	}
}

// TestDowntimeSkipsToNearestMark checks that after a downtime over several marks only the
// nearest one is used.
func TestDowntimeSkipsToNearestMark(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-02-10")
	w.uses = func(time.Time) map[idp.EntityID]idp.Year { return nil }
	w.tick(w.server())
	w.Clock.Set(date("2027-02-27")) // over the mark of 14 days
	ok(t, w.Rotation.Start(t.Context()))
	wantLines(t, []string{"2027-02-28 step_ahead prefer/2027/2027-03-01/1", "2027-03-01 step_taken prefer/2027"}, w.untilDay("2027-03-01", w.server()))
}

// TestRestartRepeatsNoNotice checks that a server that restarts between the marks repeats no
// notice.
func TestRestartRepeatsNoNotice(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2026-12-31")
	w.tick(w.server())
	var got []string
	for w.Clock.Now().Before(date("2027-01-15")) {
		got = append(got, w.untilDay(w.Clock.Now().AddDate(0, 0, 1).Format(time.DateOnly), w.server())...)
		w.tick(w.server(), w.server())
	}
	wantLines(t, []string{
		"2027-01-01 step_ahead create/2027/2027-01-15/14", "2027-01-14 step_ahead create/2027/2027-01-15/1", "2027-01-15 step_taken create/2027",
	}, got)
}

// TestNoticesInManualMode checks that manual steps keep their marks and are never announced
// as the server's. The server destroys the key of a year that is over in manual mode too.
func TestNoticesInManualMode(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2026-11-22", func(p *rotation.Policy) { p.Manual = true })
	s := w.server()
	wantLines(t, []string{
		"2026-11-23 began began",
		// The day of the start is between 60 and 30 days before.
		"2026-11-23 step_due create/2027/2027-01-15/60",
		"2026-12-16 step_due create/2027/2027-01-15/30",
		"2027-01-01 step_due create/2027/2027-01-15/14",
		"2027-01-08 step_due create/2027/2027-01-15/7",
		"2027-01-14 step_due create/2027/2027-01-15/1",
		"2027-01-15 attention attention/2027-01-15/step_overdue/2027",
		"2027-01-16 attention attention/2027-01-16/step_overdue/2027",
	}, w.untilDay("2027-01-16", s))
	for _, step := range []rotation.Step{
		{Kind: rotation.StepCreate, Year: "2027"}, {Kind: rotation.StepPublish, Year: "2027"}, {Kind: rotation.StepPrefer, Year: "2027"},
		{Kind: rotation.StepRevoke, Year: "2026", Reason: "test"},
	} {
		_, err := w.Rotation.Take(t.Context(), step, "cli:uid=0(root)", false)
		ok(t, err)
	}
	w.tick(s)
	wantLines(t, []string{
		"2027-02-01 step_ahead destroy/2026/2027-02-15/14", "2027-02-14 step_ahead destroy/2026/2027-02-15/1", "2027-02-15 step_taken destroy/2026",
	}, w.untilDay("2027-02-15", s))
}

// TestNoticesOfHeldStep checks that a step held by a rollback is announced for its date in
// the calendar if the hold has no end, and for the end of the hold otherwise.
func TestNoticesOfHeldStep(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, until string) (*deployment, *notify.Service) {
		w := newDeployment(t, "2027-02-10")
		s := w.server()
		step := rotation.Step{Kind: rotation.StepRollback, Year: "2026", Reason: "test"}
		if until != "" {
			step.HoldEndAt = date(until)
		}
		for _, step := range []rotation.Step{{Kind: rotation.StepPrefer, Year: "2027"}, step} {
			_, err := w.Rotation.Take(t.Context(), step, "cli:uid=0(root)", false)
			ok(t, err)
		}
		w.tick(s)
		return w, s
	}
	t.Run("no end", func(t *testing.T) {
		t.Parallel()
		w, s := start(t, "")
		wantLines(t, []string{
			"2027-02-15 step_ahead prefer/2027/2027-03-01/14", "2027-02-28 step_ahead prefer/2027/2027-03-01/1",
			"2027-03-01 attention attention/2027-03-01/step_held/2027",
		}, w.untilDay("2027-03-01", s))
	})
	t.Run("until a date", func(t *testing.T) {
		t.Parallel()
		w, s := start(t, "2027-03-10")
		got := slices.DeleteFunc(w.untilDay("2027-03-10", s), func(l string) bool {
			return strings.Contains(l, "step_held") || strings.Contains(l, "certificate_ends")
		})
		wantLines(t, []string{
			"2027-02-24 step_ahead prefer/2027/2027-03-10/14", "2027-03-09 step_ahead prefer/2027/2027-03-10/1", "2027-03-10 step_taken prefer/2027",
		}, got)
	})
}

// logOf lets a server write its log as JSON into a buffer, and returns the attention
// in it: code, year and the days that a step is held.
func logOf(s *notify.Service) func() []string {
	var log strings.Builder
	s.Log = slog.New(slog.NewJSONHandler(&log, nil))
	return func() (lines []string) {
		for line := range strings.Lines(log.String()) {
			var e struct {
				Code, Year, Text string
				DaysHeld         int `json:"days_held"`
			}
			if err := json.Unmarshal([]byte(line), &e); err == nil && e.Code != "" {
				text := e.Code + " " + e.Year
				if e.DaysHeld > 0 {
					text += " " + string(rune('0'+e.DaysHeld))
				}
				if e.Text == "" || strings.Contains(e.Text, "attention.") {
					text += " without text"
				}
				lines = append(lines, text)
			}
		}
		return lines
	}
}

// TestAttentionIsLoggedDaily checks that attention is logged once a day even if no one is
// notified, and that nothing is stored then.
func TestAttentionIsLoggedDaily(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-02-10")
	for _, step := range []rotation.Step{{Kind: rotation.StepPrefer, Year: "2027"}, {Kind: rotation.StepRollback, Year: "2026", Reason: "test"}} {
		_, err := w.Rotation.Take(t.Context(), step, "cli:uid=0(root)", false)
		ok(t, err)
	}
	w.add("urn:ended", nil, "2027-02-28")
	w.add("urn:replaced", nil, "2027-02-28", "2029-01-01")
	s := w.server()
	s.Webhook, s.Notify = nil, nil
	logged := logOf(s)
	w.run("2027-02-27", s)
	wantLines(t, nil, logged())
	for range 3 {
		w.run(w.Clock.Now().AddDate(0, 0, 1).Format(time.DateOnly), s)
		for range 5 { // later on the same day
			w.Clock.Set(w.Clock.Now().Add(time.Hour))
			w.tick(s)
		}
		w.Clock.Set(w.Clock.Now().Truncate(24 * time.Hour))
	}
	wantLines(t, []string{
		"request_certificate_ended ", "step_held 2027 1", "request_certificate_ended ", "step_held 2027 2", "request_certificate_ended ",
	}, logged())
	docs, err := w.Bolt.Documents(t.Context(), "notice", idp.DocumentQuery{All: true})
	ok(t, err)
	if len(docs) != 0 || len(w.mail.Mails()) != 0 || len(w.hook.notices()) != 0 {
		t.Errorf("%d documents, %d mails", len(docs), len(w.mail.Mails()))
	}
}

// TestFailuresAreLoggedByReason checks that a step that fails for another reason is logged
// at once.
func TestFailuresAreLoggedByReason(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-01-14")
	w.Clock.Set(date("2027-01-15"))
	why := "the vault is sealed"
	w.Rotation.NewSigner = func(int) (crypto.Signer, error) { return nil, errors.New(why) }
	s := w.server()
	logged := logOf(s)
	for _, why = range []string{"the vault is sealed", "the vault is sealed", "the vault is on fire"} {
		_, _ = w.Rotation.TakeDueSteps(t.Context())
		w.tick(s)
	}
	n := 0
	for _, l := range logged() {
		if strings.HasPrefix(l, string(rotation.StepFailed)) {
			n++
		}
	}
	if n != 2 {
		t.Errorf("logged %d times: %v", n, logged())
	}
}

// TestNoticesOfRequestCertificates checks that only the end of a service provider's last
// request certificate counts.
func TestNoticesOfRequestCertificates(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2026-11-22")
	w.add("https://a.example", nil, "2027-01-01")
	w.add("https://replaced.example", nil, "2027-01-01", "2029-01-01")
	w.add("https://c.example", nil, "2026-12-22", "2026-12-01")
	w.add("https://d.example", nil, "2029-01-01")
	w.add("https://inactive.example", nil, "2026-12-22")
	_, err := w.Bolt.UpdateProvider(t.Context(), idp.ProviderUpdate{ID: "https://inactive.example", Change: func(p *idp.ServiceProvider) error { p.Active = false; return nil }})
	ok(t, err)
	s := w.server()
	w.tick(s)
	w.run("2026-12-31", s, w.server())
	got := map[string][]idp.EntityID{}
	for _, n := range w.hook.notices() {
		if n.Kind == notify.RequestCerts {
			got[n.At.Format(time.DateOnly)] = n.SPs
		}
	}
	a, c := []idp.EntityID{"https://a.example"}, []idp.EntityID{"https://c.example"}
	want := map[string][]idp.EntityID{
		"2026-11-22": {"https://c.example", "https://a.example"}, // 30 and 40 days before
		"2026-12-02": a, "2026-12-18": a, "2026-12-25": a, "2026-12-31": a,
		"2026-12-08": c, "2026-12-15": c, "2026-12-21": c, "2026-12-22": c,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
