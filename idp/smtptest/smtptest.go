// Package smtptest is a mail server that accepts mail, keeps it in memory and delivers nothing. The
// demo and tests use it to show the mail that a real server would receive. It is for loopback only.
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
	maxMailSize = 1 << 20 // bytes of one mail
	maxMails    = 1000    // in memory, the newest ones
	maxConns    = 100
	idleTimeout = time.Minute
)

// Server is a mail server. The zero value is ready to use. Fields must be set before Serve.
type Server struct {
	// TLS is offered as STARTTLS. If it is nil, the server offers no STARTTLS.
	TLS *tls.Config
	// Username and Password are required to send mail. If they are "", anyone can send.
	Username, Password string
	// Refuse returns the reply that refuses a recipient, for example "550 no such user", or ""
	// to accept it. If it is nil, all recipients are accepted.
	Refuse func(recipient string) string

	mu          sync.Mutex
	mails       []Mail
	sessions    int
	smtpServers []*smtp.Server
}

// Mail is one mail as the client sent it.
type Mail struct {
	From string
	To   []string
	// IsTLS reports whether the connection used TLS.
	IsTLS bool
	// Data is the unchanged head and body.
	Data string
}

// Mails returns the accepted mails, oldest first.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Sessions returns the number of connections. A connection that starts TLS counts twice.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// Serve accepts mail until the listener or the server is closed.
func (s *Server) Serve(listener net.Listener) error {
	smtpServer := smtp.NewServer(smtp.BackendFunc(s.newSession))
	smtpServer.Domain, smtpServer.TLSConfig, smtpServer.AllowInsecureAuth = "mailbox", s.TLS, true
	smtpServer.MaxMessageBytes, smtpServer.MaxRecipients = maxMailSize, 100
	smtpServer.ReadTimeout, smtpServer.WriteTimeout = idleTimeout, idleTimeout
	smtpServer.ErrorLog = log.New(io.Discard, "", 0)
	s.mu.Lock()
	s.smtpServers = append(s.smtpServers, smtpServer)
	s.mu.Unlock()
	if err := smtpServer.Serve(netutil.LimitListener(listener, maxConns)); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Close ends every connection.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, smtpServer := range s.smtpServers {
		_ = smtpServer.Close() // fails only for a listener that is already closed
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

// AuthMechanisms returns PLAIN if the server requires a password.
func (s *session) AuthMechanisms() []string {
	if s.server.Username == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.server.Username || password != s.server.Password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "wrong username or password"}
		}
		s.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.user != s.server.Username {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "sign in first"}
	}
	_, isTLS := s.conn.TLSConnectionState()
	s.mail = Mail{From: from, IsTLS: isTLS}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.server.Refuse != nil {
		code, message, _ := strings.Cut(s.server.Refuse(to), " ")
		if n, err := strconv.Atoi(code); err == nil {
			return &smtp.SMTPError{Code: n, EnhancedCode: smtp.NoEnhancedCode, Message: message}
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
	if surplus := len(s.server.mails) - maxMails; surplus > 0 {
		s.server.mails = slices.Delete(s.server.mails, 0, surplus)
	}
	return nil
}

// Header returns a decoded line of the head, or "".
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

// Text returns the decoded body of a plain-text mail.
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
