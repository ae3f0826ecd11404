package notify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"vernal/idp"
)

// Ways to protect the connection to the mail server.
const (
	// StartTLS upgrades a plain connection. Nothing is sent to a server that does not offer it.
	StartTLS = "starttls"
	// ImplicitTLS uses TLS from the first byte.
	ImplicitTLS = "tls"
	// NoTLS is for a mail server on this machine.
	NoTLS = "none"
)

const (
	// mailTimeout is how long the server may take for one step of a mail.
	mailTimeout = 10 * time.Second
	// maxPerConnection is how many mails go over one connection.
	maxPerConnection = 100
)

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

// Send hands over the mails, perConnection at a time. It returns an error for each mail that
// was not accepted and nil for the others. No error contains an email address.
func (m *Mailer) Send(ctx context.Context, mails []Mail) (errs []error) {
	for part := range slices.Chunk(mails, maxPerConnection) {
		errs = append(errs, m.sendBatch(ctx, part)...)
	}
	return errs
}

// sendBatch is Send on one connection, which ends with ctx at the latest.
func (m *Mailer) sendBatch(ctx context.Context, mails []Mail) []error {
	errs := make([]error, len(mails))
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	c, broken := m.dial(ctx)
	if broken != nil {
		broken = fmt.Errorf("reach the mail server: %w", stripServerText(broken))
	}
	for i, mail := range mails {
		if errs[i] = broken; broken != nil {
			continue
		}
		msg, err := m.buildMessage(mail)
		if err != nil {
			errs[i] = err
			continue
		}
		if err = c.Send(msg); err == nil || msg.IsDelivered() {
			continue
		}
		errs[i] = stripServerText(err)
		if _, refused := errors.AsType[*refusedError](errs[i]); !refused {
			broken = errs[i] // the connection can no longer be used
		}
	}
	if broken == nil {
		_ = c.Close()
	}
	return errs
}

// dial connects, protects the connection and signs in. The end of ctx closes the connection during
// any operation, which the library's own timeout does not do.
func (m *Mailer) dial(ctx context.Context) (*gomail.Client, error) {
	host, portText, err := net.SplitHostPort(m.Server)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, err
	}
	tlsConfig := &tls.Config{ServerName: host, RootCAs: m.Roots, MinVersion: tls.VersionTLS12}
	dial := func(dialing context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(dialing, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		if m.TLS != ImplicitTLS {
			return conn, nil
		}
		secured := tls.Client(conn, tlsConfig)
		return secured, secured.HandshakeContext(dialing)
	}
	policy := gomail.TLSMandatory
	if m.TLS == NoTLS || m.TLS == ImplicitTLS {
		policy = gomail.NoTLS
	}
	options := []gomail.Option{
		gomail.WithPort(port), gomail.WithTimeout(cmp.Or(m.Timeout, mailTimeout)), gomail.WithTLSConfig(tlsConfig),
		gomail.WithTLSPolicy(policy), gomail.WithDialContextFunc(dial), gomail.WithoutSMTPUTF8(),
	}
	if m.Username != "" {
		options = append(options, gomail.WithUsername(m.Username), gomail.WithPassword(m.Password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	c, err := gomail.NewClient(host, options...)
	if err != nil {
		return nil, err
	}
	return c, c.DialWithContext(ctx)
}

// buildMessage builds the mail. Only bare email addresses are accepted, and header values have
// one line, so that no text can inject a header.
func (m *Mailer) buildMessage(mail Mail) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	err := errors.Join(msg.FromFormat(cleanText(m.FromName), m.From), msg.To(mail.To))
	if isMailAddress(m.ReplyTo) {
		err = errors.Join(err, msg.ReplyTo(m.ReplyTo))
	}
	if err != nil || !isMailAddress(mail.To) || !isMailAddress(m.From) {
		return nil, errors.New("not an email address")
	}
	msg.Subject(cleanText(mail.Subject))
	msg.SetDateWithValue(m.Clock.Now())
	sum := sha256.Sum256([]byte(mail.ID + "\x00" + mail.To))
	msg.SetMessageIDWithValue(hex.EncodeToString(sum[:16]) + m.From[strings.LastIndex(m.From, "@"):])
	// RFC 3834 §5: prevents automatic replies.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, mail.Text)
	return msg, nil
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

// stripServerText strips the server's text from an error.
func stripServerText(err error) error {
	send, unsent := errors.AsType[*gomail.SendError](err)
	if unsent && send.ErrorCode() != 0 {
		return &refusedError{send.ErrorCode()}
	}
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return &refusedError{reply.Code}
	}
	if unsent {
		return errors.New("the connection to the mail server broke: " + send.Reason.String())
	}
	return err
}
