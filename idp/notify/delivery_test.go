package notify_test

import (
	"crypto"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/notify"
	"vernal/idp/rotation"
)

// wantNotice compares all but the words.
func wantNotice(t *testing.T, got, want notify.Notice) {
	t.Helper()
	got.Subject, got.Text = "", ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notice (-want +got):\n%s", diff)
	}
}

// TestFailedStepIsNotifiedAtOnce checks that a failed step is notified at once, and once a
// day for the same reason. Another reason on the same day is another notice. A manual step
// notifies no one, a revocation everyone.
func TestFailedStepIsNotifiedAtOnce(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-01-13")
	w.add("https://a.example", nil)
	w.uses = func(time.Time) map[idp.EntityID]idp.Year {
		return map[idp.EntityID]idp.Year{"https://a.example": "2026"}
	}
	why := "the vault is sealed"
	w.Rotation.NewSigner = func(bits int) (crypto.Signer, error) {
		if why != "" {
			return nil, errors.New(why)
		}
		return w.NewSigner(bits)
	}
	s := w.server()
	w.tick(s)
	try := func() {
		_, _ = w.Rotation.TakeDueSteps(t.Context())
		w.tick(s)
	}
	for range 2 {
		w.Clock.Set(w.Clock.Now().AddDate(0, 0, 1))
		try()
		try()
	}
	why = "the vault is on fire"
	try()
	why = ""
	try()
	for _, step := range []rotation.Step{{Kind: rotation.StepPublish, Year: "2027"}, {Kind: rotation.StepPrefer, Year: "2027"}} {
		_, err := w.Rotation.Take(t.Context(), step, "cli:uid=0(root)", false)
		ok(t, err)
	}
	_, err := w.Rotation.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2026", Reason: "tape lost"}, "cli:uid=0(root)", false)
	ok(t, err)
	w.tick(s)
	w.tick(w.server())
	var got []string
	for _, n := range w.hook.notices()[1:] {
		if n.Kind == notify.StepAhead {
			continue
		}
		got = append(got, n.At.Format(time.DateOnly)+" "+string(n.Kind)+" "+strings.TrimPrefix(n.Subject, "Example sign-in: "))
	}
	want := []string{
		"2027-01-15 attention failed step of 2027",
		"2027-01-15 attention failed step of 2027",
		"2027-01-15 step_taken 2027 is created",
		"2027-01-15 revoked URGENT: Example sign-in: 2026 was revoked",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("webhook (-want +got):\n%s", diff)
	}
}

// TestNoticesSurviveReceiverOutage checks that receivers that are down for two days get
// every notice once, and are not tried all the time meanwhile.
func TestNoticesSurviveReceiverOutage(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-01-14")
	s := w.server()
	up := s.Mail.Server
	w.tick(s)
	s.Mail.Server = "127.0.0.1:1"
	w.hook.answer(http.StatusInternalServerError)
	w.Clock.Set(date("2027-01-15"))
	_, err := w.Rotation.TakeDueSteps(t.Context())
	ok(t, err)
	for range 48 * 12 {
		w.tick(s)
		w.Clock.Set(w.Clock.Now().Add(5 * time.Minute))
	}
	if n := len(w.hook.notices()) + len(w.mail.Mails()); n != 4 { // that notices come, and the notice of tomorrow
		t.Fatalf("%d arrived without a listener", n-4)
	}
	s = w.server()
	s.Mail.Server = up
	w.hook.answer(http.StatusNoContent)
	for range 24 {
		w.tick(s)
		w.Clock.Set(w.Clock.Now().Add(time.Hour))
	}
	if got := len(w.hook.notices()); got != 3 {
		t.Errorf("the webhook took %d notices", got)
	}
	// At 0, 3 and 8 minutes, 23 minutes, 1, 4 and 10 hours, …
	if calls := w.hook.count(); calls < 10 || calls > 14 {
		t.Errorf("the webhook was called %d times", calls)
	}
	if got := len(w.mail.Mails()); got != 3 {
		t.Errorf("%d mails", got)
	}
}

// TestUndeliveredNoticeIsGivenUp checks that a notice that no one accepts is given up after
// some days, and that the log says so.
func TestUndeliveredNoticeIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-01-14")
	s := w.server()
	var log strings.Builder
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	s.Mail = nil
	w.tick(s)
	w.hook.answer(http.StatusInternalServerError)
	w.Clock.Set(date("2027-01-15"))
	_, err := w.Rotation.TakeDueSteps(t.Context())
	ok(t, err)
	for range 10 * 24 {
		w.tick(s)
		w.Clock.Set(w.Clock.Now().Add(time.Hour))
	}
	if n := strings.Count(log.String(), "given up"); n != 2 { // of the step, and of the next one three days later
		t.Errorf("given up %d times:\n%s", n, log.String())
	}
	if strings.Contains(log.String(), w.hook.url) {
		t.Error("the webhook's address is in the log")
	}
	if calls := w.hook.count(); calls != 2+2*12 {
		t.Errorf("%d tries", calls)
	}
}

// TestStoredNoticesHoldNoEmail checks that no email address of an operator is stored.
func TestStoredNoticesHoldNoEmail(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-01-14")
	s := w.server()
	s.Mail.Server = "127.0.0.1:1" // so that it stays there
	s.IdP.Contact = ""            // published, so the text may name it
	w.run("2027-01-15", s)
	docs, err := w.Bolt.Documents(t.Context(), "notice", idp.DocumentQuery{All: true})
	ok(t, err)
	if len(docs) == 0 {
		t.Fatalf("%d documents", len(docs))
	}
	for _, d := range docs {
		if strings.Contains(d.Key+string(d.Data), "@") {
			t.Errorf("%s: %s", d.Key, d.Data)
		}
	}
}

// TestFirstNoticeIsSentOnce checks that a first notice announces the notices, and that a
// restart does not repeat it.
func TestFirstNoticeIsSentOnce(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2026-11-22")
	w.tick(w.server(), w.server())
	w.Clock.Set(date("2026-11-25"))
	w.tick(w.server())
	got := w.hook.notices()
	if len(got) != 1 || len(w.mail.Mails()) != 1 {
		t.Fatalf("%d notices, %d mails", len(got), len(w.mail.Mails()))
	}
	wantNotice(t, got[0], notify.Notice{ID: "began", At: date("2026-11-22"), Kind: notify.NoticesStarted})
}
