package certs

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"time"

	"vernal/idp"
)

// Request makes a certification request (PKCS#10, RFC 2986) of a private key, as
// DER: RSA-SHA256, with the subject that a self-signed certificate would have,
// and the key usage to ask for. The same key and policy give the same bytes.
func Request(rand io.Reader, signer crypto.Signer, y idp.Year, p Policy, baseURL string) ([]byte, error) {
	name, err := p.Subject.name(baseURL)
	if err != nil {
		return nil, fmt.Errorf("certification request %s: %w", y, err)
	}
	template := &x509.CertificateRequest{
		Subject:            name,
		SignatureAlgorithm: x509.SHA256WithRSA,
		// KeyUsage (RFC 5280 §4.2.1.3): the first bit is digitalSignature.
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 7, 0x80}}},
	}
	der, err := x509.CreateCertificateRequest(rand, template, signer)
	if err != nil {
		return nil, fmt.Errorf("certification request %s: %w", y, err)
	}
	return der, nil
}

// Span is the stretch that a certificate must cover: it must have begun at
// BeginBy and must not end before EndFrom. EndAt is the end of the calendar, the
// one to ask for.
type Span struct {
	BeginBy time.Time `json:"begin_by"`
	EndFrom time.Time `json:"end_from"`
	EndAt   time.Time `json:"end_at"`
}

// Span is what the certificate of a year must cover if it comes at now. EndFrom
// leaves the overlap with the year after that every calendar must have: its
// preferring, and the time that service providers are given to move.
func (p Policy) Span(h History, y idp.Year, now time.Time) Span {
	d, next := p.Dates(y), p.dates(number(y)+1)
	s := Span{BeginBy: later(d.PublishAt, now.UTC()), EndAt: p.CreateStep(h, y, now).CertEndAt}
	// For a letter that comes late the calendar's end is another year's, and
	// what can be spared of it is the same.
	spare := d.CertEndAt.Sub(later(next.PreferAt, next.PublishAt.Add(moveTime)))
	s.EndFrom = s.EndAt.Add(-spare)
	return s
}
