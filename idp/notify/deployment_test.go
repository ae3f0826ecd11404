package notify_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest/fixture"
	"vernal/idp/installation"
	"vernal/idp/notify"
	"vernal/idp/rotation"
	"vernal/idp/smtptest"
	"vernal/idp/sp"
	"vernal/metadata"
)

// deployment is an installation with a mail server, a receiver of webhooks, and a
// clock that is turned.
type deployment struct {
	*fixture.Fixture
	t      *testing.T
	mail   *smtptest.Server
	mailAt string
	hook   *receiver
	uses   func(now time.Time) map[idp.EntityID]idp.Year
}

const baseURL = fixture.BaseURL

var webhookSecret = []byte("a secret of some length")

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func date(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return t
}

// newDeployment starts on a day, with the years of a first start.
func newDeployment(t *testing.T, now string, change ...func(*rotation.Policy)) *deployment {
	t.Helper()
	w := &deployment{t: t, uses: func(time.Time) map[idp.EntityID]idp.Year { return nil }}
	w.Fixture = fixture.New(t, date(now), func(c *installation.Config) {
		for _, change := range change {
			change(&c.Policy)
		}
	})
	ok(t, w.Rotation.Begin(t.Context()))
	w.mail, w.mailAt = newMailbox(t, &smtptest.Server{})
	w.hook = newReceiver(t, w.Clock.Now)
	return w
}

// server returns a server's service, with nothing in memory yet.
func (w *deployment) server() *notify.Service {
	return &notify.Service{
		Store: w.Bolt, Board: w.Board, Rotation: w.Rotation, Years: w.Years, Clock: w.Clock.Now,
		IdP: metadata.IdP{BaseURL: baseURL, Contact: "help@example.gov"}, Name: "Example sign-in",
		Log:     slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		Mail:    w.mailer(),
		Notify:  []string{"ops@example.gov"},
		Webhook: &notify.Webhook{URL: w.hook.url, Secret: webhookSecret, Clock: w.Clock.Now},
	}
}

func (w *deployment) mailer() *notify.Mailer {
	return &notify.Mailer{Server: w.mailAt, From: "vernal@example.gov", FromName: "Example sign-in", TLS: notify.NoTLS, Clock: w.Clock.Now}
}

// add registers a service provider with request certificates that end then.
func (w *deployment) add(id idp.EntityID, contacts []string, ends ...string) {
	w.t.Helper()
	set := map[string][]string{"name": {"Service " + string(id)}, "acs_urls": {"https://sp.example.gov/acs"}, "contacts": contacts}
	for _, end := range ends {
		set["certs"] = append(set["certs"], requestCert(w.t, date(end)))
	}
	if len(ends) == 0 {
		set["sign_requests"] = []string{idp.SignRequestsOptional}
	}
	_, err := w.Registry.AddEdit(w.t.Context(), id, sp.Document{}, sp.Edit{Set: set}, sp.Options{}, "test")
	ok(w.t, err)
}

// day simulates a day of the installation: the clock advances, users sign in at service
// providers, the server takes the due steps, and the servers notify.
func (w *deployment) day(servers ...*notify.Service) {
	w.t.Helper()
	w.Clock.Set(w.Clock.Now().AddDate(0, 0, 1))
	for id, y := range w.uses(w.Clock.Now()) {
		w.Board.Usage.Use(idp.Use{SP: id, Year: y, At: w.Clock.Now(), IssuedAt: w.Clock.Now()})
	}
	ok(w.t, w.Board.Usage.Flush(w.t.Context()))
	ok(w.t, w.Rotation.Tick(w.t.Context(), 24*time.Hour))
	_, err := w.Rotation.TakeDueSteps(w.t.Context())
	ok(w.t, err)
	w.tick(servers...)
}

// tick makes all servers send notices at the same time.
func (w *deployment) tick(servers ...*notify.Service) {
	w.t.Helper()
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(func() {
			if err := s.Tick(w.t.Context()); err != nil {
				w.t.Errorf("%s: %v", w.Clock.Now().Format(time.DateOnly), err)
			}
		})
	}
	wg.Wait()
}

// run runs until a day, and notes on which day which notices came by mail.
func (w *deployment) run(to string, servers ...*notify.Service) (log []string) {
	w.t.Helper()
	for w.Clock.Now().Before(date(to)) {
		before := len(w.mail.Mails())
		w.day(servers...)
		for _, m := range w.mail.Mails()[before:] {
			log = append(log, w.Clock.Now().Format(time.DateOnly)+" "+strings.TrimPrefix(m.Header("Subject"), "Example sign-in: "))
		}
	}
	return log
}

// newMailbox serves a mailbox until the test ends.
func newMailbox(t *testing.T, s *smtptest.Server) (*smtptest.Server, string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	ok(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = l.Close()
		ok(t, s.Close())
		ok(t, <-done)
	})
	return s, l.Addr().String()
}

// receiver takes webhooks and checks them as the guide "notices" says.
type receiver struct {
	url string

	mu     sync.Mutex
	status int
	calls  int
	got    []notify.Notice
}

func newReceiver(t *testing.T, clock func() time.Time) *receiver {
	r := &receiver{status: http.StatusNoContent}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil || req.Method != http.MethodPost {
			t.Errorf("webhook: %s, %v", req.Method, err)
		}
		if why := verify(req.Header.Get(notify.SignatureHeader), body, webhookSecret, clock()); why != "" {
			t.Errorf("webhook: %s", why)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.calls++
		w.WriteHeader(r.status)
		if r.status != http.StatusNoContent {
			return
		}
		var n notify.Notice
		if err := json.Unmarshal(body, &n); err != nil {
			t.Errorf("webhook: %v", err)
		}
		r.got = append(r.got, n)
	}))
	t.Cleanup(srv.Close)
	r.url = srv.URL
	return r
}

// verify verifies a call as a receiver does. It returns "" if the call is valid.
func verify(header string, body, secret []byte, now time.Time) string {
	var unix int64
	var sum string
	if n, err := fmt.Sscanf(header, "t=%d,v1=%s", &unix, &sum); n != 2 || err != nil {
		return fmt.Sprintf("signature %q: %v", header, err)
	}
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%d.%s", unix, body)
	if want := hex.EncodeToString(mac.Sum(nil)); want != sum {
		return "the signature does not match"
	}
	if d := now.Sub(time.Unix(unix, 0)).Abs(); d > 5*time.Minute {
		return "too old: " + d.String()
	}
	return ""
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

func (r *receiver) notices() []notify.Notice {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]notify.Notice(nil), r.got...)
}

var serial atomic.Int64

// requestCert returns a request certificate that ends then.
func requestCert(t *testing.T, end time.Time) string {
	t.Helper()
	key := fixture.Key(0)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: "sp"}, NotBefore: end.AddDate(-3, 0, 0), NotAfter: end,
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "sp"}}, key.Public(), key)
	ok(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
