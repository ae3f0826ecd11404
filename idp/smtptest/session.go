package smtptest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// session is one connection.
type session struct {
	server  *Server
	conn    net.Conn
	in      *bufio.Reader
	secured bool
	user    string
	mail    Mail
}

func newSession(s *Server, conn net.Conn) *session {
	return &session{server: s, conn: conn, in: bufio.NewReaderSize(io.LimitReader(conn, 64*maxMail), 4096)}
}

func (s *session) say(format string, args ...any) bool {
	_ = s.conn.SetDeadline(time.Now().Add(idleTime))
	_, err := fmt.Fprintf(s.conn, format+"\r\n", args...)
	return err == nil
}

// run answers until the client leaves.
func (s *session) run() {
	if !s.say("220 mailbox ESMTP") {
		return
	}
	for {
		// A command of more than a buffer is none of a mail client's.
		line, err := s.in.ReadSlice('\n')
		if err != nil {
			return
		}
		verb, arg, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), " ")
		if !s.command(strings.ToUpper(verb), arg) {
			return
		}
	}
}

// command answers one command; false ends the session.
func (s *session) command(verb, arg string) bool {
	switch verb {
	case "EHLO", "HELO":
		return s.hello()
	case "STARTTLS":
		return s.startTLS()
	case "AUTH":
		return s.auth(arg)
	case "MAIL":
		if s.server.Username != "" && s.user == "" {
			return s.say("530 5.7.0 sign in first")
		}
		s.mail = Mail{From: between(arg), Secured: s.secured, User: s.user}
		return s.say("250 2.1.0 ok")
	case "RCPT":
		to := between(arg)
		if s.server.Refuse != nil {
			if no := s.server.Refuse(to); no != "" {
				return s.say("%s", no)
			}
		}
		if len(s.mail.To) < 100 {
			s.mail.To = append(s.mail.To, to)
		}
		return s.say("250 2.1.5 ok")
	case "DATA":
		return s.data()
	case "RSET":
		s.mail = Mail{}
		return s.say("250 2.0.0 ok")
	case "NOOP":
		return s.say("250 2.0.0 ok")
	case "QUIT":
		s.say("221 2.0.0 bye")
		return false
	}
	return s.say("502 5.5.1 not here")
}

func (s *session) hello() bool {
	lines := []string{"mailbox", "8BITMIME", "ENHANCEDSTATUSCODES"}
	if s.server.TLS != nil && !s.secured {
		lines = append(lines, "STARTTLS")
	}
	if s.server.Username != "" {
		lines = append(lines, "AUTH PLAIN")
	}
	for i, l := range lines {
		mark := "-"
		if i == len(lines)-1 {
			mark = " "
		}
		if !s.say("250%s%s", mark, l) {
			return false
		}
	}
	return true
}

func (s *session) startTLS() bool {
	if s.server.TLS == nil || s.secured {
		return s.say("502 5.5.1 not here")
	}
	if !s.say("220 2.0.0 go ahead") {
		return false
	}
	secured := tls.Server(s.conn, s.server.TLS)
	if secured.Handshake() != nil {
		return false
	}
	// What was sent in the clear before is forgotten (RFC 3207 §4.2).
	*s = *newSession(s.server, secured)
	s.secured = true
	return true
}

func (s *session) auth(arg string) bool {
	mechanism, initial, _ := strings.Cut(arg, " ")
	if !strings.EqualFold(mechanism, "PLAIN") {
		return s.say("504 5.5.4 not here")
	}
	raw, _ := base64.StdEncoding.DecodeString(initial)
	parts := strings.Split(string(raw), "\x00")
	if len(parts) != 3 || parts[1] != s.server.Username || parts[2] != s.server.Password {
		return s.say("535 5.7.8 %s may not", parts[min(1, len(parts)-1)])
	}
	s.user = parts[1]
	return s.say("235 2.7.0 welcome")
}

func (s *session) data() bool {
	if len(s.mail.To) == 0 {
		return s.say("503 5.5.1 to whom?")
	}
	if !s.say("354 go ahead") {
		return false
	}
	dots := textproto.NewReader(s.in).DotReader()
	text, err := io.ReadAll(io.LimitReader(dots, maxMail+1))
	if err != nil || len(text) > maxMail {
		s.say("552 5.3.4 too much")
		return false
	}
	s.mail.Data = string(text)
	s.server.keep(s.mail)
	s.mail = Mail{}
	return s.say("250 2.0.0 taken")
}

// between is the address in "FROM:<a@b> …".
func between(arg string) string {
	_, rest, _ := strings.Cut(arg, "<")
	address, _, _ := strings.Cut(rest, ">")
	return address
}
