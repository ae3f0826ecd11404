package usermail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/notify"
	"vernal/idp/seal"
	"vernal/idp/usermail"
)

func resetMail(id, to string) usermail.Mail {
	return usermail.Mail{ID: id, Kind: usermail.ResetPassword, To: to, Lang: "en",
		Args: usermail.Args{URL: "https://login.example.gov/reset?token=s3cr3tT0ken", Minutes: 30}}
}

func TestQueuedMailIsSentOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.server()
	m := resetMail("", "ada@example.gov")
	ok(t, s.Queue(t.Context(), m))
	if got := d.received(); len(got) != 0 {
		t.Fatalf("Queue sent to %v", got)
	}
	for range 3 {
		d.tick(s)
		d.tick(d.server())
		d.Clock.Advance(3 * time.Hour)
	}
	if diff := cmp.Diff([]rendered{d.render(m)}, d.mails()); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
}

// Mails wait for the mail server and arrive in the order in which they were queued.
func TestMailsSurviveOutageInOrder(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.server()
	d.stopMail()
	var want []string
	var batch []usermail.Mail
	for i := range 12 { // in one write, with IDs of another order
		to := fmt.Sprintf("user%d@example.gov", i)
		want, batch = append(want, to), append(batch, resetMail(fmt.Sprintf("test/%d", 50-i), to))
	}
	ok(t, s.Queue(t.Context(), batch...))
	d.Clock.Advance(time.Second)
	ok(t, s.Queue(t.Context(), resetMail("first", "last@example.gov")))
	want = append(want, "last@example.gov")
	for range 36 {
		_ = s.Tick(t.Context()) // the mail server is down
		d.Clock.Advance(5 * time.Minute)
	}
	if got := d.received(); len(got) != 0 {
		t.Fatalf("received without a mail server: %v", got)
	}
	d.startMail()
	for range 36 {
		d.tick(s)
		d.Clock.Advance(5 * time.Minute)
	}
	if diff := cmp.Diff(want, d.received()); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
}

// A mail that cannot be sent does not delay the others, and the error names no recipient.
func TestUnsendableMailDelaysNoOther(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.inbox.Refuse = func(to string) string {
		if to == "full@example.gov" {
			return "452 mailbox of full@example.gov is full"
		}
		return ""
	}
	s := d.server()
	unknown := resetMail("2", "unknown@example.gov")
	unknown.Kind = "of_a_newer_release"
	ok(t, s.Queue(t.Context(), resetMail("1", "full@example.gov"), unknown, resetMail("3", "not an email address"), resetMail("4", "ada@example.gov")))
	err := s.Tick(t.Context())
	if err == nil || strings.Contains(err.Error(), "full@") || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"ada@example.gov"}, d.received()); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
}

func TestUndeliverableMailIsGivenUp(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.server()
	d.stopMail()
	ok(t, s.Queue(t.Context(), resetMail("", "ada@example.gov")))
	for range 24 * 12 {
		_ = s.Tick(t.Context())
		d.Clock.Advance(5 * time.Minute)
	}
	d.startMail()
	for range 8 {
		d.tick(s)
		d.Clock.Advance(time.Hour)
	}
	if got := d.received(); len(got) != 0 {
		t.Errorf("sent after its links expired: %v", got)
	}
}

func TestRoundSendsBoundedNumber(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.server()
	var batch []usermail.Mail
	for i := range 150 {
		batch = append(batch, resetMail("", fmt.Sprintf("user%d@example.gov", i)))
	}
	ok(t, s.Queue(t.Context(), batch...))
	d.tick(s)
	if got := len(d.received()); got != 100 {
		t.Errorf("%d mails in a round", got)
	}
	d.tick(s)
	if got := len(d.received()); got != 150 {
		t.Errorf("%d mails in two rounds", got)
	}
}

func TestSameIDIsSentOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.server()
	m := resetMail("audit/7/0", "ada@example.gov")
	ok(t, s.Queue(t.Context(), m, m))
	ok(t, d.server().Queue(t.Context(), m))
	d.tick(s)
	ok(t, s.Queue(t.Context(), m)) // sent, and known for as long as it would be tried
	d.Clock.Advance(time.Hour)
	d.tick(s, d.server())
	if got := d.received(); len(got) != 1 {
		t.Errorf("received by %v", got)
	}
}

func TestServersSendEachMailOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	servers := []*usermail.Service{d.server(), d.server(), d.server()}
	d.tick(servers...)
	var want []string
	for i := range 20 {
		to := fmt.Sprintf("user%02d@example.gov", i)
		ok(t, servers[0].Queue(t.Context(), resetMail("", to)))
		want = append(want, to)
	}
	d.addUser("u1", "", "ada@example.gov")
	d.change("u1", idp.AuditUserSetPassword, "user:u1")
	want = append([]string{"ada@example.gov"}, want...)
	for range 3 {
		d.tick(servers...)
		d.Clock.Advance(10 * time.Minute)
	}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(d.received()))); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
}

// A crash after the mail server accepted a mail and before this is recorded is the only crash that
// repeats the mail. Both have the same Message-ID.
func TestCrashRepeatsOnlyUnrecordedMail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		sends bool // before the crash
		want  int
	}{{"before it is sent", false, 1}, {"before it is recorded", true, 2}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t)
			s := d.server()
			s.Sender = senderFunc(func(ctx context.Context, mails []notify.Mail) []error {
				errs := make([]error, len(mails))
				if tt.sends {
					errs = d.mailer.Send(ctx, mails)
				}
				d.Close()
				return errs
			})
			ok(t, s.Queue(t.Context(), resetMail("", "ada@example.gov")))
			if err := s.Tick(t.Context()); err == nil {
				t.Fatal("no error from a closed store")
			}
			d.Reopen()
			s = d.server()
			d.tick(s) // the mail still belongs to the server that crashed
			if got, want := len(d.received()), tt.want-1; got != want {
				t.Errorf("%d mails at once after the crash, want %d", got, want)
			}
			for range 3 {
				d.Clock.Advance(3 * time.Minute)
				d.tick(s)
			}
			mails := d.inbox.Mails()
			if len(mails) != tt.want || mails[0].Header("Message-ID") != mails[len(mails)-1].Header("Message-ID") {
				t.Errorf("mails %+v", mails)
			}
		})
	}
}

// The store discloses no recipient and no link, and nothing of a sent mail is kept.
func TestStoreDisclosesNoMail(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.server()
	secrets := []string{"ada@example.gov", "s3cr3tT0ken", "/reset?"}
	check := func(when string) {
		t.Helper()
		file, err := os.ReadFile(d.StoreFile())
		ok(t, err)
		for _, secret := range secrets {
			if bytes.Contains(file, []byte(secret)) {
				t.Errorf("%s: the store shows %s", when, secret)
			}
			for _, doc := range d.stored() {
				if strings.Contains(doc.Key+string(doc.Data), secret) {
					t.Errorf("%s: a document shows %s", when, secret)
				}
			}
		}
	}
	ok(t, s.Queue(t.Context(), resetMail("", "ada@example.gov")))
	before := d.stored()
	if len(before) != 1 {
		t.Fatalf("%d documents", len(before))
	}
	check("queued")
	d.tick(s)
	check("sent")
	if after := d.stored(); len(after) != 1 || bytes.Contains(after[0].Data, []byte(`"sealed"`)) {
		t.Errorf("a sent mail keeps its text: %s", after)
	}
}

// Mails that were sealed before the keys were renewed are dropped, because their links no longer
// work, and others are sent.
func TestRenewedKeysDropMails(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.server()
	ok(t, s.Queue(t.Context(), resetMail("old", "old@example.gov")))
	ok(t, d.Bolt.BeginRenewal(t.Context()))
	ok(t, s.Queue(t.Context(), resetMail("new", "new@example.gov")))
	for place := (seal.RenewPlace{}); ; {
		var err error
		place, err = d.Bolt.Renew(t.Context(), place, 100)
		ok(t, err)
		if place.IsZero() {
			break
		}
	}
	ok(t, d.Bolt.EndRenewal(t.Context()))
	d.tick(s)
	if diff := cmp.Diff([]string{"new@example.gov"}, d.received()); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
	if docs := d.stored(); len(docs) != 1 || docs[0].Key != "new" {
		t.Errorf("kept %v", docs)
	}
}

func TestQueueNeedsMailServer(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.server()
	s.Sender = nil
	if err := s.Queue(t.Context(), resetMail("", "ada@example.gov")); !errors.Is(err, usermail.ErrNoMail) || s.CanSend() {
		t.Errorf("error %v, can send: %t", err, s.CanSend())
	}
	if docs := d.stored(); len(docs) != 0 {
		t.Errorf("stored %v", docs)
	}
	s.Run(t.Context()) // returns
}

// Run sends what is queued while it runs, and returns when its context ends.
func TestRunSendsQueuedMails(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.server()
	sent := make(chan struct{}, 1)
	s.Sender = senderFunc(func(ctx context.Context, mails []notify.Mail) []error {
		defer func() { sent <- struct{}{} }()
		return d.mailer.Send(ctx, mails)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	for i := range 2 {
		ok(t, s.Queue(t.Context(), resetMail("", fmt.Sprintf("user%d@example.gov", i))))
		<-sent
	}
	cancel()
	<-done
	d.Clock.Advance(time.Hour)
	d.tick(d.server())
	if diff := cmp.Diff([]string{"user0@example.gov", "user1@example.gov"}, d.received()); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
}
