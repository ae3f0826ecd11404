package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"time"

	"vernal/idp/outbound"
)

const (
	day = 24 * time.Hour
	// tlsWarning is how long before its end a TLS certificate should have been renewed. For one
	// that is valid for less than three times as long, it is the last third of that time.
	tlsWarning = 14 * day
)

func listTLSChecks() []Check {
	return []Check{
		{
			Name: "tls", Network: true, NeedsServer: true,
			Codes:      []Code{TLSExpired, TLSEnding, TLSWrongHost, TLSIncomplete, TLSUntrusted},
			Configured: (*Service).isHTTPS, Run: (*Service).checkTLS,
		},
		{
			Name:       "tls_file",
			Codes:      []Code{TLSFileUnreadable, TLSFileNotLoaded, TLSExpired, TLSEnding, TLSWrongHost, TLSIncomplete, TLSUntrusted},
			Configured: func(s *Service) bool { return s.Settings.TLSCert != "" }, Run: (*Service).checkTLSFile,
		},
	}
}

// isHTTPS reports whether base_url is https.
func (s *Service) isHTTPS() bool { return s.Installation.IsSecure() }

// checkTLS looks at the certificates that a browser gets at base_url.
func (s *Service) checkTLS(ctx context.Context, _ Options) ([]Finding, error) {
	base, err := url.Parse(s.IdP.BaseURL)
	if err != nil {
		return nil, err
	}
	port := base.Port()
	if port == "" {
		port = "443"
	}
	raw, err := s.Outbound.Dial(ctx, "tcp", net.JoinHostPort(base.Hostname(), port), outbound.Operator)
	if err != nil {
		return nil, err // checkBaseURL has the finding
	}
	defer raw.Close()
	// Nothing is sent over this connection. Faults of its certificate are for judgeChain, so
	// they must not end the handshake.
	conn := tls.Client(raw, &tls.Config{ServerName: base.Hostname(), InsecureSkipVerify: true})
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return s.judgeChain(conn.ConnectionState().PeerCertificates, base.Hostname(), Args{URL: s.IdP.BaseURL}), nil
}

// checkTLSFile looks at tls.cert. A renewed file is used only after a restart.
func (s *Service) checkTLSFile(context.Context, Options) ([]Finding, error) {
	base, err := url.Parse(s.IdP.BaseURL)
	if err != nil {
		return nil, err
	}
	args := Args{Path: s.Settings.TLSCert}
	pair, err := tls.LoadX509KeyPair(s.Settings.TLSCert, s.Settings.TLSKey)
	if err != nil {
		args.Value = formatError(err)
		return []Finding{{Code: TLSFileUnreadable, Level: Problem, Args: args}}, nil
	}
	var chain []*x509.Certificate
	for _, der := range pair.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			args.Value = formatError(err)
			return []Finding{{Code: TLSFileUnreadable, Level: Problem, Args: args}}, nil
		}
		chain = append(chain, c)
	}
	findings := s.judgeChain(chain, base.Hostname(), args)
	if s.serverTLS != nil && len(s.serverTLS.Certificates) > 0 && !bytes.Equal(s.serverTLS.Certificates[0].Certificate[0], pair.Certificate[0]) {
		findings = append(findings, Finding{Code: TLSFileNotLoaded, Level: Problem, Args: args})
	}
	return findings, nil
}

// judgeChain judges a certificate and the intermediates sent with it, as browsers do. args name
// their place.
func (s *Service) judgeChain(chain []*x509.Certificate, host string, args Args) (findings []Finding) {
	if len(chain) == 0 {
		return nil
	}
	add := func(code Code, change func(*Args)) {
		f := Finding{Code: code, Level: Problem, Args: args}
		if change != nil {
			change(&f.Args)
		}
		findings = append(findings, f)
	}
	now, leaf := s.Clock.Now(), chain[0]
	warningTime := min(tlsWarning, leaf.NotAfter.Sub(leaf.NotBefore)/3)
	verifiedAt := now
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		verifiedAt = leaf.NotAfter // to find its other faults
		add(TLSExpired, func(a *Args) { a.Date = leaf.NotAfter.UTC() })
	case left < warningTime:
		add(TLSEnding, func(a *Args) { a.Date, a.Days = leaf.NotAfter.UTC(), countDays(now, leaf.NotAfter) })
	}
	if leaf.VerifyHostname(host) != nil {
		add(TLSWrongHost, func(a *Args) { a.Host = host })
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: s.Outbound.Roots, Intermediates: intermediates, CurrentTime: verifiedAt})
	if err == nil {
		return findings
	}
	last := chain[len(chain)-1]
	if _, isUnknown := errors.AsType[x509.UnknownAuthorityError](err); isUnknown && !bytes.Equal(last.RawIssuer, last.RawSubject) {
		add(TLSIncomplete, nil)
	} else {
		add(TLSUntrusted, func(a *Args) { a.Value = formatError(err) })
	}
	return findings
}
