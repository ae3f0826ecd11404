package certs

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
)

// Finding is a problem or a warning about an external certificate or key.
type Finding struct {
	Code FindingCode `json:"code"`
	// Text describes the finding and its consequence, for operators.
	Text string `json:"text"`
	// Request is the change to request from the CA. It is empty if the CA cannot help.
	Request string `json:"ask,omitempty"`
}

// String returns the text and the change to request from the CA.
func (f Finding) String() string {
	if f.Request == "" {
		return f.Text
	}
	return f.Text + ": ask the authority for " + f.Request
}

// FindingCode names a finding, for programs.
type FindingCode string

// The problems. Each of them refuses an import.
const (
	FoundMismatch FindingCode = "key_mismatch"
	FoundNotRSA   FindingCode = "not_rsa"
	FoundKeySize  FindingCode = "key_size"
	FoundReused   FindingCode = "key_reused"
	FoundEnded    FindingCode = "ended"
	FoundLate     FindingCode = "begins_late"
	FoundShort    FindingCode = "ends_early"
)

// The warnings: properties that old or strict service providers may reject.
const (
	FoundBeginsAhead  FindingCode = "begins_ahead"
	FoundEndsSooner   FindingCode = "ends_sooner"
	FoundLongKey      FindingCode = "long_key"
	FoundExponent     FindingCode = "exponent"
	FoundSHA1         FindingCode = "sha1"
	FoundAlgorithm    FindingCode = "signature_algorithm"
	FoundCA           FindingCode = "ca"
	FoundKeyUsage     FindingCode = "key_usage"
	FoundExtKeyUsage  FindingCode = "extended_key_usage"
	FoundCritical     FindingCode = "critical_extension"
	FoundSerial       FindingCode = "serial"
	FoundSerialReused FindingCode = "serial_reused"
	FoundBroken       FindingCode = "not_self_signed"
	FoundName         FindingCode = "name"
	FoundVersion      FindingCode = "version"
)

const (
	minBits  = 2048
	slowBits = 4096 // longer keys slow down every sign-in
	maxBits  = 8192 // the maximum that crypto/tls and most libraries verify
)

// ExternalCert is an external certificate for the private key of a year.
type ExternalCert struct {
	Year idp.Year
	Cert *x509.Certificate
	// Public is the public half of the private key.
	Public crypto.PublicKey
	// Keys are the keys of all years, including years that have ended.
	Keys []*Key
	// KeyDigests has the SHA-256 of the public key of every recorded year, also of
	// years whose key is lost or destroyed.
	KeyDigests map[idp.Year]string
	// Span is the time that the certificate must cover.
	Span rotation.Span
}

// ImportError reports a refused certificate: every problem that refuses it, and the warnings
// about it.
type ImportError struct {
	Year               idp.Year
	Problems, Warnings []Finding
}

// Error implements error.
func (e *ImportError) Error() string {
	lines := []string{fmt.Sprintf("import %s refused:", e.Year)}
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	for _, w := range e.Warnings {
		lines = append(lines, "warning: "+w.String())
	}
	return strings.Join(lines, "\n  ")
}

// CheckImport finds all faults of an external certificate: problems, any of which refuses
// it, and warnings. It does not check the issuer: service providers pin the certificate or
// trust our metadata.
func CheckImport(f ExternalCert, now time.Time) (problems, warnings []Finding) {
	c := &importCheck{ExternalCert: f}
	if c.checkReuse(); !EqualPublic(f.Public, f.Cert.PublicKey) {
		// Further findings about the certificate of another key would mislead.
		c.addProblem(FoundMismatch, "", "it is the certificate of another key: %s (SHA-256 %s…)", f.Cert.Subject, CertSHA256(f.Cert)[:16])
		return c.problems, nil
	}
	c.checkKey()
	c.checkDates(now)
	c.checkSignature()
	c.checkUses()
	c.checkSerial()
	c.checkNames()
	return c.problems, c.warnings
}

// Pick picks the certificate of a public key from a chain, and returns the other ones. If several match,
// it picks the one that expires last. If none matches, it picks the first, so that CheckImport can
// report its problems.
func Pick(chain []*x509.Certificate, pub crypto.PublicKey) (leaf *x509.Certificate, rest []*x509.Certificate) {
	best := 0
	for i, c := range chain {
		isBetter := !EqualPublic(pub, chain[best].PublicKey) || c.NotAfter.After(chain[best].NotAfter)
		if EqualPublic(pub, c.PublicKey) && isBetter {
			best = i
		}
	}
	return chain[best], slices.Delete(slices.Clone(chain), best, best+1)
}

// importCheck collects the findings about one certificate.
type importCheck struct {
	ExternalCert
	problems, warnings []Finding
}

func (c *importCheck) addProblem(code FindingCode, request, format string, args ...any) {
	c.problems = append(c.problems, Finding{code, fmt.Sprintf(format, args...), request})
}

func (c *importCheck) addWarning(code FindingCode, request, format string, args ...any) {
	c.warnings = append(c.warnings, Finding{code, fmt.Sprintf(format, args...), request})
}

func (c *importCheck) checkKey() {
	pub, ok := c.Cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		c.addProblem(FoundNotRSA, "", "its key is %s: service providers need RSA", c.Cert.PublicKeyAlgorithm)
		return
	}
	switch bits := pub.N.BitLen(); {
	case bits < minBits:
		c.addProblem(FoundKeySize, "", "its RSA key has %d bits, fewer than %d", bits, minBits)
	case bits > maxBits:
		c.addProblem(FoundKeySize, "", "its RSA key has %d bits, more than %d: most software cannot verify longer keys", bits, maxBits)
	case bits > slowBits:
		c.addWarning(FoundLongKey, "", "its RSA key has %d bits: signing with it is slow, and every sign-in waits for it", bits)
	}
	if pub.E < 3 || pub.E%2 == 0 {
		c.addProblem(FoundExponent, "", "its RSA key has the public exponent %d, which is not secure", pub.E)
	} else if pub.E != 65537 {
		c.addWarning(FoundExponent, "", "its RSA key has the public exponent %d: some software accepts only 65537", pub.E)
	}
}

// checkReuse finds keys and serial numbers of other years. Software that trusts one year must not
// trust another because of them. A recorded key counts even if it is lost or destroyed.
func (c *importCheck) checkReuse() {
	for _, y := range slices.Sorted(maps.Keys(c.KeyDigests)) {
		isReused := y != c.Year && c.KeyDigests[y] != "" && c.KeyDigests[y] == PublicKeySHA256(c.Public)
		if isReused && !slices.ContainsFunc(c.Keys, func(o *Key) bool { return o.Year == y }) {
			c.addProblem(FoundReused, "", "it has the same key as year %s: every year needs its own key", y)
		}
	}
	for _, o := range c.Keys {
		if o.Year == c.Year {
			continue
		}
		if slices.ContainsFunc(o.publicKeys(), func(pub crypto.PublicKey) bool {
			return EqualPublic(pub, c.Public) || EqualPublic(pub, c.Cert.PublicKey)
		}) {
			c.addProblem(FoundReused, "", "it has the same key as year %s: every year needs its own key", o.Year)
		}
		if o.Cert != nil && o.Cert.SerialNumber.Cmp(c.Cert.SerialNumber) == 0 && bytes.Equal(o.Cert.RawIssuer, c.Cert.RawIssuer) {
			c.addWarning(FoundSerialReused, "a new serial number", "it has the same issuer and serial number as our signing certificate (%s): "+
				"software that identifies certificates by these values (NSS, Windows) confuses the two", o.Year)
		}
	}
}

func (c *importCheck) checkDates(now time.Time) {
	span := c.Span
	beginAt, endAt := c.Cert.NotBefore.UTC(), c.Cert.NotAfter.UTC()
	request := fmt.Sprintf("a certificate that is valid from %s at the latest until %s at least", formatDate(span.LatestBeginAt), formatDate(span.EndAt))
	switch {
	case !endAt.After(now):
		c.addProblem(FoundEnded, request, "it expired on %s", formatDate(endAt))
	case endAt.Before(span.EarliestEndAt):
		c.addProblem(FoundShort, request, "it expires on %s: service providers need it until %s, to have time to move to the next year",
			formatDate(endAt), formatDate(span.EarliestEndAt))
	case endAt.Before(span.EndAt):
		c.addWarning(FoundEndsSooner, "", "it expires on %s and not on %s as planned: service providers have less time to move to the next year", formatDate(endAt), formatDate(span.EndAt))
	}
	switch {
	case beginAt.After(span.LatestBeginAt):
		c.addProblem(FoundLate, request, "it is not valid before %s, and year %s is published on %s", beginAt.Format(time.RFC3339), c.Year, formatDate(span.LatestBeginAt))
	case beginAt.After(now):
		c.addWarning(FoundBeginsAhead, "", "it is not valid before %s: do not publish year %s earlier", beginAt.Format(time.RFC3339), c.Year)
	}
}

func formatDate(t time.Time) string { return t.UTC().Format(time.DateOnly) }
