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
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
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
		return errors.New("the webhook's URL is not valid")
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
	secured := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), RootCAs: client.Roots, MinVersion: tls.VersionTLS12})
	return secured.HandshakeContext(ctx)
}

// SendTest sends a test notice to the operators by mail and to the webhook, as far as they are
// configured. The errors are those of each mail, and that of the call.
func (s *Service) SendTest(ctx context.Context) (mails []error, hook error) {
	n := Notice{ID: "test/" + rand.Text(), At: s.Clock.Now().UTC(), Kind: Test}
	d := operatorData{Notice: n, sender: s.newSender(s.defaultLang())}
	var err error
	if n.Subject, n.Text, err = render(s.defaultLang(), "operator_test.txt", d); err != nil {
		return []error{fmt.Errorf("write the test notice: %w", err)}, err
	}
	if s.Mail != nil && len(s.Notify) > 0 {
		list := make([]Mail, len(s.Notify))
		for i, to := range s.Notify {
			list[i] = Mail{ID: n.ID, To: to, Subject: n.Subject, Text: n.Text}
		}
		mails = s.Mail.Send(ctx, list)
	}
	if s.Webhook != nil {
		hook = s.Webhook.Send(ctx, &n)
	}
	return mails, hook
}
