// Package smtptest is a mail server that delivers nothing: it takes mail and
// keeps it in memory, to be looked at. The demo catches its mail with it, and
// tests see what a real mail server is told.
//
// It speaks as much of SMTP (RFC 5321) as a client that hands over mail needs,
// with STARTTLS and AUTH PLAIN. It is for loopback: nobody is kept out.
package smtptest

import (
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"time"
)

const (
	maxMail  = 1 << 20 // bytes of one mail
	maxMails = 1000    // that are kept
	maxConns = 100
	idleTime = time.Minute
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
	conns    map[net.Conn]bool
	closed   bool
}

// Mail is one mail as it was handed over.
type Mail struct {
	From string
	To   []string
	// Secured: it came through TLS. User is who had signed in.
	Secured bool
	User    string
	// Data is all of it, head and body, as it came.
	Data string
}

// Mails are those that were taken, the first one first.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Sessions is how many connections there were.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// Serve takes mail until the listener or the server is closed.
func (s *Server) Serve(l net.Listener) error {
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			return err
		}
		if !s.open(conn) {
			_ = conn.Close()
			continue
		}
		go func() {
			defer s.done(conn)
			newSession(s, conn).run()
		}()
	}
}

func (s *Server) open(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= maxConns {
		return false
	}
	if s.conns == nil {
		s.conns = map[net.Conn]bool{}
	}
	s.conns[conn] = true
	s.sessions++
	return true
}

func (s *Server) done(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// Close ends every connection. The listener is the caller's.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for conn := range s.conns {
		_ = conn.Close()
	}
	return nil
}

func (s *Server) keep(m Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mails) == maxMails {
		s.mails = s.mails[1:]
	}
	s.mails = append(s.mails, m)
}

// Header is a line of the head, decoded; "" if there is none.
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
