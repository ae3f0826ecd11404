package notice_test

import (
	"crypto"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/notice"
	"vernal/idp/rotation"
)

// days are lines for a stretch of days that have the same.
func days(from, to, text string) (lines []string) {
	for d := date(from); !d.After(date(to)); d = d.AddDate(0, 0, 1) {
		lines = append(lines, d.Format(time.DateOnly)+" "+text)
	}
	return lines
}

// A spring: one service provider moves on 10 March, the other one on 3 July, too
// late. Two servers tell of it, one of which is started anew every few days.
func TestSpring(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2026-11-22")
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
	var log []string
	for w.clock().Before(date("2027-08-20")) {
		log = append(log, w.run(w.clock().AddDate(0, 0, 5).Format(time.DateOnly), one, two)...)
		two = w.server()
	}
	want := slices.Concat([]string{
		"2027-01-01 our signing certificate (2026) ends in 90 days",
		"2027-01-15 2027 is created",
		"2027-01-31 our signing certificate (2026) ends in 60 days",
		"2027-02-01 2027 is published",
		"2027-03-01 2027 is preferred",
		"2027-03-02 our signing certificate (2026) ends in 30 days, 2 service providers not moved",
		// The one that moved on the 10th used 2026 within 14 days.
		"2027-03-18 our signing certificate (2026) ends in 14 days, 2 service providers not moved",
		"2027-03-25 our signing certificate (2026) ends in 7 days, 1 service provider not moved",
		"2027-03-31 our signing certificate (2026) ends in 1 day, 1 service provider not moved",
		"2027-04-01 our signing certificate (2026) ended",
		"2027-04-02 2026 is to be retired in 90 days, 1 service provider not moved",
		"2027-05-02 2026 is to be retired in 60 days, 1 service provider not moved",
		"2027-06-01 2026 is to be retired in 30 days, 1 service provider not moved",
		"2027-06-17 2026 is to be retired in 14 days, 1 service provider not moved",
		"2027-06-24 2026 is to be retired in 7 days, 1 service provider not moved",
		"2027-06-30 2026 is to be retired in 1 day, 1 service provider not moved",
	}, days("2027-07-01", "2027-07-15", "held step of 2026"), []string{
		"2027-07-16 2026 is retired",
		"2027-08-15 the key of 2026 is destroyed",
	})
	if diff := cmp.Diff(want, log); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
	var called []string
	seen := map[string]bool{}
	for _, n := range w.hook.notices()[1:] { // the first says that they come
		if seen[n.ID] {
			t.Errorf("the webhook was told of %s twice", n.ID)
		}
		seen[n.ID] = true
		called = append(called, n.At.Format(time.DateOnly)+" "+strings.TrimPrefix(n.Subject, "Example sign-in: "))
	}
	if diff := cmp.Diff(want, called); diff != "" {
		t.Errorf("webhook (-want +got):\n%s", diff)
	}
	wantNotice(t, w.hook.notices()[6], notice.Notice{
		ID: "certificate_ends/2026/2027-04-01/30", At: date("2027-03-02"), Kind: notice.CertEnds, Year: "2026",
		DueAt: date("2027-04-01"), SPs: []idp.EntityID{"https://a.example", "https://b.example"},
	})
}

// wantNotice compares all but the words.
func wantNotice(t *testing.T, got, want notice.Notice) {
	t.Helper()
	got.Subject, got.Text = "", ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notice (-want +got):\n%s", diff)
	}
}

// After downtime only the nearest date is told of, and what was done meanwhile.
func TestDowntime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2027-02-10")
	w.add("https://a.example", nil)
	w.uses = func(time.Time) map[idp.EntityID]idp.Year {
		return map[idp.EntityID]idp.Year{"https://a.example": "2026"}
	}
	w.run("2027-02-20", w.server())
	w.turn(date("2027-03-20"))
	ok(t, w.rotation.Start(t.Context()))
	want := []string{
		"2027-03-21 our signing certificate (2026) ends in 11 days, 1 service provider not moved",
		"2027-03-21 2027 is preferred",
		"2027-03-25 our signing certificate (2026) ends in 7 days, 1 service provider not moved",
	}
	got := w.run("2027-03-26", w.server())
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
}

// In manual mode people are reminded of each step, and told when it is late.
func TestManual(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2026-11-22", func(p *rotation.Policy) { p.Manual = true })
	s := w.server()
	log := w.run("2027-01-16", s)
	want := []string{
		// The day of the start lies between 60 and 30 days before.
		"2026-11-23 notices of the rotation come here",
		"2026-11-23 create 2027 is due in 53 days",
		"2026-12-16 create 2027 is due in 30 days",
		"2027-01-01 create 2027 is due in 14 days",
		"2027-01-08 create 2027 is due in 7 days",
		"2027-01-14 create 2027 is due in 1 day",
		"2027-01-15 overdue step of 2027",
		"2027-01-16 overdue step of 2027",
	}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
}

// A step that fails is told at once, once a day for the same reason; another
// reason on the same day is another notice. A step by hand is nobody's news, a
// revocation is everybody's.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2027-01-13")
	w.add("https://a.example", nil)
	w.uses = func(time.Time) map[idp.EntityID]idp.Year {
		return map[idp.EntityID]idp.Year{"https://a.example": "2026"}
	}
	why := "the vault is sealed"
	w.rotation.NewSigner = func(bits int) (crypto.Signer, error) {
		if why != "" {
			return nil, errors.New(why)
		}
		return newSigner(bits)
	}
	s := w.server()
	w.tick(s)
	try := func() {
		_, _ = w.rotation.Automatic(t.Context())
		w.tick(s)
	}
	for range 2 {
		w.turn(w.clock().AddDate(0, 0, 1))
		try()
		try()
	}
	why = "the vault is on fire"
	try()
	why = ""
	try()
	for _, step := range []rotation.Step{{Kind: rotation.StepPublish, Year: "2027"}, {Kind: rotation.StepPrefer, Year: "2027"}} {
		_, err := w.rotation.Take(t.Context(), step, "cli:uid=0(root)", false)
		ok(t, err)
	}
	_, err := w.rotation.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2026", Reason: "tape lost"}, "cli:uid=0(root)", false)
	ok(t, err)
	w.tick(s)
	w.tick(w.server())
	var got []string
	for _, n := range w.hook.notices()[1:] {
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

// Receivers that are down for two days get every notice, once, and are not
// called all the time meanwhile.
func TestReceiversDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2027-01-14")
	s := w.server()
	up := s.Mail.Server
	w.tick(s)
	s.Mail.Server = "127.0.0.1:1"
	w.hook.answer(http.StatusInternalServerError)
	w.turn(date("2027-01-15"))
	_, err := w.rotation.Automatic(t.Context())
	ok(t, err)
	for range 48 * 12 {
		w.tick(s)
		w.turn(w.clock().Add(5 * time.Minute))
	}
	if n := len(w.hook.notices()) + len(w.mail.Mails()); n != 2 {
		t.Fatalf("%d arrived while nobody was there", n-2)
	}
	s = w.server()
	s.Mail.Server = up
	w.hook.answer(http.StatusNoContent)
	for range 24 {
		w.tick(s)
		w.turn(w.clock().Add(time.Hour))
	}
	if got := len(w.hook.notices()); got != 2 {
		t.Errorf("the webhook took %d notices", got)
	}
	// At 0, 3 and 8 minutes, 23 minutes, 1, 4 and 10 hours, …
	if calls := w.hook.count(); calls < 9 || calls > 13 {
		t.Errorf("the webhook was called %d times", calls)
	}
	if got := len(w.mail.Mails()); got != 2 {
		t.Errorf("%d mails", got)
	}
}

// What nobody takes is given up after some days, and said so in the log.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2027-01-14")
	s := w.server()
	var log strings.Builder
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	s.Mail = nil
	w.tick(s)
	w.hook.answer(http.StatusInternalServerError)
	w.turn(date("2027-01-15"))
	_, err := w.rotation.Automatic(t.Context())
	ok(t, err)
	for range 10 * 24 {
		w.tick(s)
		w.turn(w.clock().Add(time.Hour))
	}
	if n := strings.Count(log.String(), "given up"); n != 1 {
		t.Errorf("given up %d times:\n%s", n, log.String())
	}
	if strings.Contains(log.String(), w.hook.url) {
		t.Error("the webhook's address is in the log")
	}
	if calls := w.hook.count(); calls != 1+12 {
		t.Errorf("%d tries", calls)
	}
}

// Ends of request certificates come in one notice for all, at most once a day.
func TestRequestCertificates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2026-11-22")
	w.add("https://a.example", nil, "2027-01-01")
	w.add("https://b.example", nil, "2027-01-01", "2029-01-01")
	w.add("https://c.example", nil, "2026-12-22")
	w.add("https://d.example", nil, "2029-01-01")
	s := w.server()
	w.tick(s)
	first := w.mail.Mails()[1:]
	log := w.run("2026-12-31", s, w.server())
	if len(first) != 1 {
		t.Fatalf("%d mails on the first day", len(first))
	}
	for _, want := range []string{"1 January 2027, in 40 days: https://a.example", "in 40 days: https://b.example", "22 December 2026, in 30 days: https://c.example"} {
		if !strings.Contains(first[0].Text(), want) {
			t.Errorf("%q is not in\n%s", want, first[0].Text())
		}
	}
	if strings.Contains(first[0].Text(), "https://d.example") {
		t.Error("d has nothing to do")
	}
	var on []string
	for _, l := range log {
		if strings.HasSuffix(l, "request certificates of service providers end") {
			on = append(on, l[:10])
		}
	}
	// a and b at 30, 14, 7 and 1 days, c at 14, 7, 1 and 0.
	want := []string{"2026-12-02", "2026-12-08", "2026-12-15", "2026-12-18", "2026-12-21", "2026-12-22", "2026-12-25", "2026-12-31"}
	if diff := cmp.Diff(want, on); diff != "" {
		t.Errorf("days (-want +got):\n%s", diff)
	}
	if n := w.hook.notices()[1]; n.Kind != notice.RequestCerts || len(n.SPs) != 3 {
		t.Errorf("%s about %v", n.Kind, n.SPs)
	}
}

// Nothing is looked for where nobody is to be told.
func TestOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2027-03-31")
	s := w.server()
	s.Webhook, s.Notify = nil, nil
	w.tick(s)
	docs, err := w.store.Documents(t.Context(), "notice")
	ok(t, err)
	if len(docs) != 0 || len(w.mail.Mails()) != 0 {
		t.Errorf("%d documents, %d mails", len(docs), len(w.mail.Mails()))
	}
	s.Run(t.Context()) // returns
}

// No address of an operator is kept.
func TestNoAddressInTheStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2027-01-14")
	s := w.server()
	s.Mail.Server = "127.0.0.1:1" // so that it stays there
	w.run("2027-01-15", s)
	docs, err := w.store.Documents(t.Context(), "notice")
	ok(t, err)
	if len(docs) < 2 {
		t.Fatalf("%d documents", len(docs))
	}
	for _, d := range docs {
		if strings.Contains(d.Key+string(d.Data), "@") {
			t.Errorf("%s: %s", d.Key, d.Data)
		}
	}
}

// The first notice says that notices come: once, and not again with a restart.
func TestBegan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "2026-11-22")
	w.tick(w.server(), w.server())
	w.turn(date("2026-11-25"))
	w.tick(w.server())
	got := w.hook.notices()
	if len(got) != 1 || len(w.mail.Mails()) != 1 {
		t.Fatalf("%d notices, %d mails", len(got), len(w.mail.Mails()))
	}
	wantNotice(t, got[0], notice.Notice{ID: "began", At: date("2026-11-22"), Kind: notice.Began})
}
