package notify

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"vernal/idp"
)

// How the connection to the mail server is protected.
const (
	// StartTLS upgrades a plain connection. Nothing is sent to a server that does not offer it.
	StartTLS = "starttls"
	// ImplicitTLS uses TLS from the first byte.
	ImplicitTLS = "tls"
	// NoTLS is for a mail server on this machine.
	NoTLS = "none"
)

// mailTimeout is the default time limit for each SMTP step.
const mailTimeout = 10 * time.Second

// Mailer sends mail through the configured server. Its methods may be called concurrently.
type Mailer struct {
	// Server is HOST:PORT.
	Server string
	// From is the sender's bare email address, FromName the display name.
	From, FromName string
	// ReplyTo is the email address for answers, or "" for the sender's.
	ReplyTo string
	// Username and Password sign in to the server, or are both "". They are never sent over
	// a connection that others could read.
	Username, Password string
	// TLS is StartTLS, ImplicitTLS or NoTLS.
	TLS string
	// Roots are the trusted CAs for the server's certificate. nil means the system's.
	Roots *x509.CertPool
	Clock idp.Clock
	// Timeout limits each SMTP step. Zero means 10 seconds.
	Timeout time.Duration
}

// Mail is one mail to one recipient.
type Mail struct {
	// ID becomes the Message-ID, so that a repeated mail can be recognized.
	ID            string
	To            string
	Subject, Text string
}

// Send delivers the mails on one connection. It returns one error for each mail, nil if the
// server accepted it. No error discloses an email address.
func (m *Mailer) Send(ctx context.Context, mails []Mail) []error {
	errs := make([]error, len(mails))
	fail := func(from int, err error) []error {
		for i := from; i < len(errs); i++ {
			errs[i] = err
		}
		return errs
	}
	c, client, hangUp, err := m.dial(ctx)
	if err != nil {
		return fail(0, fmt.Errorf("reach the mail server: %w", mailError(err)))
	}
	defer hangUp()
	for i, mail := range mails {
		msg, err := m.message(mail)
		if err != nil {
			errs[i] = err
			continue
		}
		if err = c.SendWithSMTPClient(client, msg); err == nil || msg.IsDelivered() {
			continue
		}
		errs[i] = mailError(err)
		var refused *refusedError
		if !errors.As(errs[i], &refused) { // the connection is unusable
			return fail(i, errs[i])
		}
	}
	_ = c.CloseWithSMTPClient(client)
	return errs
}

// dial connects, protects the connection and signs in. ctx or hangUp closes it.
func (m *Mailer) dial(ctx context.Context) (_ *gomail.Client, _ *smtp.Client, hangUp func(), err error) {
	host, portText, err := net.SplitHostPort(m.Server)
	if err != nil {
		return nil, nil, nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, nil, nil, err
	}
	timeout := m.Timeout
	if timeout == 0 {
		timeout = mailTimeout
	}
	tlsConfig := &tls.Config{ServerName: host, RootCAs: m.Roots, MinVersion: tls.VersionTLS12}
	line := &line{tls: tlsConfig, implicit: m.TLS == ImplicitTLS, conn: make(chan net.Conn, 1)}
	options := []gomail.Option{
		gomail.WithPort(port), gomail.WithTimeout(timeout), gomail.WithTLSConfig(tlsConfig),
		gomail.WithTLSPolicy(gomail.NoTLS), gomail.WithDialContextFunc(line.dial), gomail.WithoutSMTPUTF8(),
	}
	if m.TLS != NoTLS && m.TLS != ImplicitTLS {
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if m.Username != "" {
		options = append(options, gomail.WithUsername(m.Username), gomail.WithPassword(m.Password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	c, err := gomail.NewClient(host, options...)
	if err != nil {
		return nil, nil, nil, err
	}
	stop := context.AfterFunc(ctx, line.close)
	hangUp = func() { stop(); line.close() }
	client, err := c.DialToSMTPClientWithContext(ctx)
	if err != nil {
		hangUp()
		return nil, nil, nil, err
	}
	return c, client, hangUp, nil
}

// message builds the mail. Only bare email addresses are accepted, and header values have
// one line, so that no text can inject a header.
func (m *Mailer) message(mail Mail) (*gomail.Msg, error) {
	if !mailAddress(mail.To) || !mailAddress(m.From) {
		return nil, errors.New("not a mail address")
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := errors.Join(msg.FromFormat(plain(m.FromName), m.From), msg.To(mail.To)); err != nil {
		return nil, errors.New("not a mail address")
	}
	if m.ReplyTo != "" && mailAddress(m.ReplyTo) {
		if err := msg.ReplyTo(m.ReplyTo); err != nil {
			return nil, errors.New("not a mail address")
		}
	}
	msg.Subject(plain(mail.Subject))
	msg.SetDateWithValue(m.Clock.Now())
	sum := sha256.Sum256([]byte(mail.ID + "\x00" + mail.To))
	msg.SetMessageIDWithValue(hex.EncodeToString(sum[:16]) + m.From[strings.LastIndex(m.From, "@"):])
	// RFC 3834 §5: prevents automatic replies.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, mail.Text)
	return msg, nil
}

// line keeps the connection to the server, so that it can be closed at any time.
type line struct {
	tls      *tls.Config
	implicit bool
	conn     chan net.Conn
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.conn <- conn
	if !l.implicit {
		return conn, nil
	}
	secured := tls.Client(conn, l.tls)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}

func (l *line) close() {
	select {
	case conn := <-l.conn:
		_ = conn.Close()
	default:
	}
}

// refusedError is a refusal by the server. It leaves out the server's text, which often
// repeats the email address.
type refusedError struct{ code int }

func (e *refusedError) Error() string {
	if e.code == 535 || e.code == 534 || e.code == 530 {
		return fmt.Sprintf("the mail server does not accept mail.username and its password (%d)", e.code)
	}
	return fmt.Sprintf("the mail server refused it (%d)", e.code)
}

// mailError strips the server's text from an error.
func mailError(err error) error {
	var send *gomail.SendError
	if errors.As(err, &send) && send.ErrorCode() != 0 {
		return &refusedError{send.ErrorCode()}
	}
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return &refusedError{reply.Code}
	}
	if send != nil {
		return errors.New("the connection to the mail server broke: " + send.Reason.String())
	}
	return err
}
