// Package smtptest is a mail server that delivers nothing: it takes mail and
// keeps it in memory, to be looked at. The demo catches its mail with it, and
// tests see what a real mail server receives. It is for loopback.
package smtptest

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"golang.org/x/net/netutil"
)

const (
	maxMailSize  = 1 << 20 // bytes of one mail
	maxMails = 1000    // that are kept
	maxConns = 100
	idleTimeout = time.Minute
)

// Server is a mailbox. The zero value is good; fields are set before Serve.
type Server struct {
	// TLS is offered as STARTTLS; nil: it is not.
	TLS *tls.Config
	// Username and Password are asked for before mail is taken; "" for none.
	Username, Password string
	// Refuse is asked for each recipient: an answer that is not empty, such as
	// "550 no such user", is given instead of a yes. Nil: all are welcome.
	Refuse func(recipient string) string

	mu       sync.Mutex
	mails    []Mail
	sessions int
	smtpServers  []*smtp.Server
}

// Mail is one mail as it was handed over.
type Mail struct {
	From string
	To   []string
	// IsTLS reports whether it came through TLS.
	IsTLS bool
	// Data is all of it, head and body, as it came.
	Data string
}

// Mails returns the accepted mails, oldest first.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Sessions returns the number of connections. One that turns to TLS counts twice.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// Serve takes mail until the listener or the server is closed.
func (s *Server) Serve(l net.Listener) error {
	srv := smtp.NewServer(smtp.BackendFunc(s.newSession))
	srv.Domain, srv.TLSConfig, srv.AllowInsecureAuth = "mailbox", s.TLS, true
	srv.MaxMessageBytes, srv.MaxRecipients = maxMailSize, 100
	srv.ReadTimeout, srv.WriteTimeout = idleTimeout, idleTimeout
	srv.ErrorLog = log.New(io.Discard, "", 0)
	s.mu.Lock()
	s.smtpServers = append(s.smtpServers, srv)
	s.mu.Unlock()
	if err := srv.Serve(netutil.LimitListener(l, maxConns)); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Close ends every connection.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, srv := range s.smtpServers {
		_ = srv.Close() // an error is that of a listener which was closed before
	}
	return nil
}

// session is one connection.
type session struct {
	server *Server
	conn   *smtp.Conn
	user   string
	mail   Mail
}

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions++
	return &session{server: s, conn: c}, nil
}

func (s *session) Reset()        { s.mail = Mail{} }
func (s *session) Logout() error { return nil }

// AuthMechanisms is PLAIN where a password is asked for.
func (s *session) AuthMechanisms() []string {
	if s.server.Username == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.server.Username || password != s.server.Password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: user + " may not"}
		}
		s.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.user != s.server.Username {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "sign in first"}
	}
	_, secured := s.conn.TLSConnectionState()
	s.mail = Mail{From: from, IsTLS: secured}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.server.Refuse != nil {
		code, why, _ := strings.Cut(s.server.Refuse(to), " ")
		if n, err := strconv.Atoi(code); err == nil {
			return &smtp.SMTPError{Code: n, EnhancedCode: smtp.NoEnhancedCode, Message: why}
		}
	}
	s.mail.To = append(s.mail.To, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mail.Data = string(text)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, s.mail)
	if extra := len(s.server.mails) - maxMails; extra > 0 {
		s.server.mails = slices.Delete(s.server.mails, 0, extra)
	}
	return nil
}

// Header returns a line of the head, decoded; "" if there is none.
func (m Mail) Header(name string) string {
	msg, err := mail.ReadMessage(strings.NewReader(m.Data))
	if err != nil {
		return ""
	}
	text, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get(name))
	if err != nil {
		return msg.Header.Get(name)
	}
	return text
}

// Text is the body of a mail that is plain text, decoded.
func (m Mail) Text() string {
	msg, err := mail.ReadMessage(strings.NewReader(m.Data))
	if err != nil {
		return m.Data
	}
	var body io.Reader = msg.Body
	if strings.EqualFold(msg.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return m.Data
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}
