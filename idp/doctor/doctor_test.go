package doctor_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/doctor"
	"vernal/idp/installation"
	"vernal/idp/notify"
	"vernal/idp/smtptest"
)

func outcomeOf(r *doctor.Report, name string) doctor.Outcome {
	for _, c := range r.Checks {
		if c.Check == name {
			return c
		}
	}
	return doctor.Outcome{}
}

// A check that ignores the end of its time is left behind. The others report, and it is not
// started again before it has ended.
func TestHangingCheckIsLeft(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	hang, started, ended := make(chan struct{}), make(chan struct{}, 9), make(chan struct{})
	d.doctor.SetChecks(
		doctor.Check{Name: "hangs", Run: func(*doctor.Service, context.Context, doctor.Options) ([]doctor.Finding, error) {
			started <- struct{}{}
			<-hang
			defer close(ended)
			return []doctor.Finding{{Code: "late", Level: doctor.Problem}}, nil
		}},
		doctor.Check{Name: "works", Run: func(*doctor.Service, context.Context, doctor.Options) ([]doctor.Finding, error) {
			return []doctor.Finding{{Code: "seen", Level: doctor.Information}}, nil
		}},
	)
	d.doctor.SetLimits(time.Second, 1, 1)
	for _, cause := range []string{doctor.CauseTimedOut, doctor.CauseStillRunning} {
		report := d.examine(doctor.Options{})
		if got := outcomeOf(report, "hangs"); got != (doctor.Outcome{Check: "hangs", State: doctor.StateFailed, Cause: cause}) {
			t.Errorf("%+v, want %s", got, cause)
		}
		if len(report.Findings) != 1 || report.Findings[0].Code != "seen" {
			t.Errorf("findings: %+v", report.Findings)
		}
		if n := report.Attention(); n != 1 {
			t.Errorf("%d things need attention, want the check", n)
		}
	}
	if len(started) != 1 {
		t.Errorf("started %d times", len(started))
	}
	close(hang)
	<-ended
}

// Runs may follow each other at once: a check that has reported is no longer running.
func TestRunsFollowAtOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.doctor.SetChecks(doctor.Check{Name: "works", Run: func(*doctor.Service, context.Context, doctor.Options) ([]doctor.Finding, error) {
		return nil, nil
	}})
	for range 2000 {
		if got := outcomeOf(d.examine(doctor.Options{}), "works"); got.State != doctor.StateDone {
			t.Fatalf("%+v", got)
		}
	}
}

// A check that fails or panics is an outcome, not a finding, and ends nothing else.
func TestBrokenCheckIsOutcome(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.doctor.SetChecks(
		doctor.Check{Name: "panics", Run: func(*doctor.Service, context.Context, doctor.Options) ([]doctor.Finding, error) { panic("oh") }},
		doctor.Check{Name: "fails", Run: func(*doctor.Service, context.Context, doctor.Options) ([]doctor.Finding, error) {
			return nil, errors.New("disk")
		}},
	)
	report := d.examine(doctor.Options{})
	want := []doctor.Outcome{
		{Check: "panics", State: doctor.StateFailed, Cause: doctor.CauseError, Error: "oh"},
		{Check: "fails", State: doctor.StateFailed, Cause: doctor.CauseError, Error: "disk"},
	}
	if diff := cmp.Diff(want, report.Checks); diff != "" || len(report.Findings) > 0 {
		t.Errorf("(-want +got):\n%s\n%+v", diff, report.Findings)
	}
	if m := d.doctor.Last(); !m.Failed["panics"] || !m.Failed["fails"] {
		t.Errorf("for monitoring: %+v", m.Failed)
	}
}

// Without a server, the checks that need one are skipped, and nothing needs attention for it.
func TestChecksThatNeedServerAreSkipped(t *testing.T) {
	t.Parallel()
	report := newDeployment(t, func(o *options) { o.stopped = true }).examine(doctor.Options{})
	for _, name := range []string{"base_url", "tls"} {
		if got := outcomeOf(report, name); got.State != doctor.StateSkipped || got.Cause != doctor.CauseNeedsServer {
			t.Errorf("%+v", got)
		}
	}
	if report.Server || report.Attention() > 0 {
		t.Errorf("%+v", report)
	}
}

// A local run asks no other machine, and does not forget what the network checks found.
func TestLocalRunAsksNoOtherMachine(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	if m := d.doctor.Last(); !m.At.IsZero() || len(m.Problems) > 0 {
		t.Fatalf("before the first run: %+v", m)
	}
	var asked atomic.Int32
	d.intercept = func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}
	d.examine(doctor.Options{Local: true})
	if n := asked.Load(); n > 0 {
		t.Errorf("asked %d times", n)
	}
	d.examine(doctor.Options{})
	d.examine(doctor.Options{Local: true})
	if m := d.doctor.Last(); asked.Load() != 1 || !m.Problems[doctor.BaseURLStatus] || !m.At.Equal(now) {
		t.Errorf("asked %d times: %+v", asked.Load(), m)
	}
}

// A test reaches the operators and the webhook, signed, at most once a minute. Without the
// option nothing is sent.
func TestSendTestIsLimited(t *testing.T) {
	t.Parallel()
	mails := &smtptest.Server{}
	at := newMailServer(t, mails)
	var calls atomic.Int32
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get(notify.SignatureHeader) != "" {
			calls.Add(1)
		}
	}))
	t.Cleanup(hook.Close)
	d := newDeployment(t, func(o *options) {
		o.change = func(c *installation.Config) {
			c.Mail, c.Operators = newMailer(at), []string{"ops@example.gov"}
			c.Webhook = &notify.Webhook{URL: hook.URL, Secret: []byte("0123456789abcdef"), Clock: c.Clock}
		}
	})
	if n := d.examine(doctor.Options{}).Attention(); n > 0 || len(mails.Mails()) > 0 || calls.Load() > 0 {
		t.Fatalf("sent without being asked: %d, %d, %d", n, len(mails.Mails()), calls.Load())
	}
	sent := func(want int) {
		t.Helper()
		if got := len(mails.Mails()); got != want || int(calls.Load()) != want {
			t.Errorf("%d mails and %d calls, want %d", got, calls.Load(), want)
		}
	}
	d.examine(doctor.Options{SendTest: true})
	sent(1)
	d.Clock.Advance(59 * time.Second)
	if _, err := d.doctor.Examine(t.Context(), doctor.Options{SendTest: true}); !errors.Is(err, doctor.ErrTestTooSoon) {
		t.Errorf("a second test within a minute: %v", err)
	}
	sent(1)
	d.Clock.Advance(time.Second)
	d.examine(doctor.Options{SendTest: true})
	sent(2)
}

// scripted examines a store of three records, of which the last is not authentic.
type scripted struct{ repaired bool }

func (s *scripted) Examine(_ context.Context, after idp.StorePlace, _ int) (idp.StoreExamination, error) {
	seen := idp.StoreExamination{Records: 1, Next: idp.StorePlace{Part: after.Part + 1}}
	if after.Part == 2 {
		seen.Next = idp.StorePlace{}
		if !s.repaired {
			seen.Tampered = []string{"name-ids"}
		}
	}
	return seen, nil
}

// What a pass through the store has found stays reported while the next pass is under way.
func TestTamperedRecordIsReportedUntilNextPass(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	store := &scripted{}
	d.doctor.Store = store
	d.doctor.SetLimits(time.Minute, 1, 1<<40)
	run := func(want int) {
		t.Helper()
		if got := len(findCode(d.examine(doctor.Options{Local: true}), doctor.StoreTampered)); got != want {
			t.Errorf("%d findings, want %d", got, want)
		}
	}
	run(0)
	run(0)
	run(1)
	store.repaired = true
	run(1)
	run(1)
	run(0)
}

// Backups of an installation without service providers are information.
func TestMissingBackupIsInformationBeforeFirstProvider(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	for _, want := range []doctor.Level{doctor.Information, doctor.Problem} {
		found := findCode(d.examine(doctor.Options{Local: true}), doctor.BackupMissing)
		if len(found) != 1 || found[0].Level != want {
			t.Errorf("%+v, want level %s", found, want)
		}
		d.addProvider(testSP+idp.EntityID(want), nil)
	}
}
