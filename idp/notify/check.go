package notify

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"

	"vernal/idp/outbound"
)

// Test is the kind of the notice that SendTest sends.
const Test Kind = "test"

// Check connects to the mail server, protects the connection and signs in, and sends nothing.
func (m *Mailer) Check(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := m.dial(ctx)
	if err != nil {
		return stripServerText(err)
	}
	_ = c.Close()
	return nil
}

// Check connects to the webhook's host and protects the connection, and sends nothing. No error
// contains the URL.
func (h *Webhook) Check(ctx context.Context) error {
	client := cmp.Or(h.Outbound, &outbound.Client{})
	u, err := url.Parse(h.URL)
	if err != nil {
		return errors.New("the webhook's URL is not valid: correct it in the configuration")
	}
	port := u.Port()
	if port == "" {
		if port = "443"; u.Scheme == "http" {
			port = "80"
		}
	}
	conn, err := client.Dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port), outbound.Operator)
	if err != nil {
		return err
	}
	defer conn.Close()
	if u.Scheme != "https" {
		return nil
	}
	tlsConn := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), RootCAs: client.Roots, MinVersion: tls.VersionTLS12})
	return tlsConn.HandshakeContext(ctx)
}

// SendTest sends a test notice to the operators by mail and to the webhook, if they are configured.
// It returns the error of each mail, and that of the webhook call.
func (s *Service) SendTest(ctx context.Context) (mailErrs []error, webhookErr error) {
	n := Notice{ID: "test/" + rand.Text(), At: s.Clock.Now().UTC(), Kind: Test}
	data := operatorData{Notice: n, Sender: s.newSender(s.defaultLang())}
	var err error
	if n.Subject, n.Text, err = render(s.defaultLang(), "operator_test.txt", data); err != nil {
		return []error{fmt.Errorf("write the test notice: %w", err)}, err
	}
	if s.Mail != nil && len(s.Notify) > 0 {
		mails := make([]Mail, len(s.Notify))
		for i, email := range s.Notify {
			mails[i] = Mail{ID: n.ID, To: email, Subject: n.Subject, Text: n.Text}
		}
		mailErrs = s.Mail.Send(ctx, mails)
	}
	if s.Webhook != nil {
		webhookErr = s.Webhook.Send(ctx, &n)
	}
	return mailErrs, webhookErr
}
