package notify_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"vernal/idp/idptest/fixture"
	"vernal/idp/notify"
	"vernal/idp/smtptest"
)

func mailer(at string) *notify.Mailer {
	return &notify.Mailer{Server: at, From: "vernal@example.gov", FromName: "Example sign-in", TLS: notify.StartTLS, Clock: time.Now}
}

var oneMail = []notify.Mail{{ID: "1", To: "ops@example.gov", Subject: "Hello", Text: "Line one\n\n.\nLast line\n"}}

// authority is a certificate authority of our own, and a certificate for a mail
// server on 127.0.0.1.
func authority(t *testing.T) (*x509.CertPool, *tls.Config) {
	t.Helper()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, fixture.Key(0).Public(), fixture.Key(0))
	ok(t, err)
	root, err := x509.ParseCertificate(der)
	ok(t, err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: "mail"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err = x509.CreateCertificate(rand.Reader, leaf, root, fixture.Key(1).Public(), fixture.Key(0))
	ok(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return pool, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: fixture.Key(1)}}}
}

func TestMailIsSentOverTLS(t *testing.T) {
	t.Parallel()
	pool, config := authority(t)
	tests := []struct {
		name   string
		server *smtptest.Server
		change func(*notify.Mailer)
		want   string // of the error; "" if the mail arrives
	}{
		{"STARTTLS", &smtptest.Server{TLS: config}, func(*notify.Mailer) {}, ""},
		{"and a password", &smtptest.Server{TLS: config, Username: "vernal", Password: "pass word"},
			func(m *notify.Mailer) { m.Username, m.Password = "vernal", "pass word" }, ""},
		{"a wrong password", &smtptest.Server{TLS: config, Username: "vernal", Password: "pass word"},
			func(m *notify.Mailer) { m.Username, m.Password = "vernal", "secret!" }, "does not accept mail.username and its password (535)"},
		{"no password where one is asked for", &smtptest.Server{TLS: config, Username: "vernal", Password: "x"},
			func(*notify.Mailer) {}, "(530)"},
		{"a server without TLS is given nothing", &smtptest.Server{}, func(*notify.Mailer) {}, "STARTTLS"},
		{"nor is its password", &smtptest.Server{Username: "vernal", Password: "secret!"},
			func(m *notify.Mailer) { m.Username, m.Password = "vernal", "secret!" }, "STARTTLS"},
		{"a certificate of another sender", &smtptest.Server{TLS: config}, func(m *notify.Mailer) { m.Roots = x509.NewCertPool() }, "certificate"},
		{"TLS is not tls where starttls is asked for", &smtptest.Server{TLS: config}, func(m *notify.Mailer) { m.TLS = notify.ImplicitTLS }, "tls"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			box, at := newMailbox(t, tt.server)
			m := mailer(at)
			m.Roots = pool
			tt.change(m)
			err := m.Send(t.Context(), oneMail)[0]
			switch got := box.Mails(); {
			case tt.want == "" && err != nil:
				t.Errorf("not sent: %v", err)
			case tt.want == "" && (len(got) != 1 || !got[0].IsTLS):
				t.Errorf("got %+v", got)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || len(got) != 0):
				t.Errorf("error %v, want %q; %d mails", err, tt.want, len(got))
			case err != nil && (strings.Contains(err.Error(), "secret!") || strings.Contains(err.Error(), "ops@")):
				t.Errorf("the error contains too much: %v", err)
			}
		})
	}
}

func TestMailImplicitTLS(t *testing.T) {
	t.Parallel()
	pool, config := authority(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	ok(t, err)
	box := &smtptest.Server{Username: "vernal", Password: "secret!"}
	go func() { _ = box.Serve(l) }()
	t.Cleanup(func() { _ = l.Close(); _ = box.Close() })
	m := mailer(l.Addr().String())
	m.TLS, m.Roots, m.Username, m.Password = notify.ImplicitTLS, pool, "vernal", "secret!"
	if err := m.Send(t.Context(), oneMail)[0]; err != nil || len(box.Mails()) != 1 {
		t.Errorf("%v, %d mails", err, len(box.Mails()))
	}
}

// TestRefusedRecipientKeepsOthersMail checks that a refused recipient does not stop the mail
// to others, and that all mails use one connection.
func TestRefusedRecipientKeepsOthersMail(t *testing.T) {
	t.Parallel()
	box, at := newMailbox(t, &smtptest.Server{Refuse: func(to string) string {
		if strings.HasPrefix(to, "gone@") {
			return "550 5.1.1 <" + to + "> is not here any more"
		}
		return ""
	}})
	m := mailer(at)
	m.TLS = notify.NoTLS
	errs := m.Send(t.Context(), []notify.Mail{
		{ID: "1", To: "a@example.gov", Subject: "1", Text: "x"}, {ID: "1", To: "gone@example.gov", Subject: "1", Text: "x"},
		{ID: "1", To: "b@example.gov", Subject: "1", Text: "x"},
	})
	if errs[0] != nil || errs[2] != nil || errs[1] == nil || errs[1].Error() != "the mail server refused it (550)" {
		t.Errorf("errors %v", errs)
	}
	got := box.Mails()
	if len(got) != 2 || got[1].To[0] != "b@example.gov" || box.Sessions() != 1 {
		t.Fatalf("%d sessions, mails %+v", box.Sessions(), got)
	}
	if a, b := got[0].Header("Message-Id"), got[1].Header("Message-Id"); a == b || !strings.HasSuffix(a, "@example.gov>") {
		t.Errorf("Message-ID %s and %s", a, b)
	}
}

// TestMailHeadersCannotBeInjected checks that untrusted text adds neither a header line nor
// an SMTP command.
func TestMailHeadersCannotBeInjected(t *testing.T) {
	t.Parallel()
	box, at := newMailbox(t, &smtptest.Server{})
	m := mailer(at)
	m.TLS, m.FromName = notify.NoTLS, "Us\r\nBcc: x@evil.example"
	for _, to := range []string{
		"a@example.gov\r\nBcc: x@evil.example", "a@example.gov>\r\nRCPT TO:<x@evil.example", "a@example.gov, x@evil.example",
		"A <a@example.gov>", "a@example.gov\n", " a@example.gov", "", "a", "a@b@c", "ä@example.gov", "a@example.gov\x00",
		strings.Repeat("a", 250) + "@example.gov", `"a b"@example.gov`,
	} {
		if err := m.Send(t.Context(), []notify.Mail{{ID: "1", To: to, Subject: "x", Text: "x"}})[0]; err == nil {
			t.Errorf("%q is taken for an address", to)
		}
	}
	for _, subject := range []string{"x\r\nBcc: x@evil.example\r\n\r\nbody", "x\nBcc: x@evil.example", "x\rBcc: x@evil.example", "x\u2028Bcc: x@evil.example"} {
		ok(t, m.Send(t.Context(), []notify.Mail{{ID: "1\r\nBcc: x@evil.example", To: "a@example.gov", Subject: subject, Text: "\r\n.\r\nMAIL FROM:<x@evil.example>\r\n"}})[0])
	}
	got := box.Mails()
	if len(got) != 4 {
		t.Fatalf("%d mails", len(got))
	}
	for _, mail := range got {
		if mail.Header("Bcc") != "" || len(mail.To) != 1 || mail.Header("Subject") != plainSubject(mail) {
			t.Errorf("injected: %+v", mail)
		}
	}
}

func plainSubject(m smtptest.Mail) string {
	return strings.Join(strings.Fields(m.Header("Subject")), " ")
}

func TestUnreachableMailServerIsReported(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	t.Cleanup(func() { _ = l.Close() })
	for _, tt := range []struct {
		name   string
		server string
	}{
		{"no listener", "127.0.0.1:1"},
		{"silent listener", l.Addr().String()}, // it is never accepted
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mailer(tt.server)
			m.Timeout = 100 * time.Millisecond
			two := append(oneMail, oneMail...)
			errs := m.Send(t.Context(), two)
			if errs[0] == nil || errs[1] == nil {
				t.Errorf("errors %v", errs)
			}
		})
	}
	t.Run("the server ends while the listener is silent", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		m := mailer(l.Addr().String())
		m.Timeout = time.Hour
		time.AfterFunc(50*time.Millisecond, stop)
		if errs := m.Send(ctx, oneMail); errs[0] == nil {
			t.Error("sent")
		}
	})
}
