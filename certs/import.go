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
	return f.Text + "; ask for " + f.Request
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
	slowBits = 4096 // longer ones make every sign-in wait
	maxBits  = 8192 // the maximum that crypto/tls and most libraries verify
)

// ExternalCert is an external certificate for the private key of a year.
type ExternalCert struct {
	Year idp.Year
	Cert *x509.Certificate
	// Public is the private key's other half.
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
// it would get otherwise.
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

// Pick picks the certificate of a public key from a chain, and returns the rest. If several match,
// it picks the one that expires last. If none matches, it picks the first, so that CheckImport can
// report its problems.
func Pick(chain []*x509.Certificate, pub crypto.PublicKey) (leaf *x509.Certificate, rest []*x509.Certificate) {
	pick := 0
	for i, c := range chain {
		better := !EqualPublic(pub, chain[pick].PublicKey) || c.NotAfter.After(chain[pick].NotAfter)
		if EqualPublic(pub, c.PublicKey) && better {
			pick = i
		}
	}
	return chain[pick], slices.Delete(slices.Clone(chain), pick, pick+1)
}

// importCheck gathers findings.
type importCheck struct {
	ExternalCert
	problems, warnings []Finding
}

func (c *importCheck) addProblem(code FindingCode, ask, format string, args ...any) {
	c.problems = append(c.problems, Finding{code, fmt.Sprintf(format, args...), ask})
}

func (c *importCheck) addWarning(code FindingCode, ask, format string, args ...any) {
	c.warnings = append(c.warnings, Finding{code, fmt.Sprintf(format, args...), ask})
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
		c.addProblem(FoundKeySize, "", "its RSA key has %d bits, more than %d: much software verifies no longer ones", bits, maxBits)
	case bits > slowBits:
		c.addWarning(FoundLongKey, "", "its RSA key has %d bits: signing with it is slow, and every sign-in waits for it", bits)
	}
	if pub.E < 3 || pub.E%2 == 0 {
		c.addProblem(FoundExponent, "", "its RSA key has the public exponent %d, with which nothing can be signed safely", pub.E)
	} else if pub.E != 65537 {
		c.addWarning(FoundExponent, "", "its RSA key has the public exponent %d; 65537 is usual, and some software takes no other", pub.E)
	}
}

// checkReuse finds keys and serial numbers of other years. Software that trusts one year must not
// trust another because of them. A recorded key counts even if it is lost or destroyed.
func (c *importCheck) checkReuse() {
	for _, y := range slices.Sorted(maps.Keys(c.KeyDigests)) {
		recorded := y != c.Year && c.KeyDigests[y] != "" && c.KeyDigests[y] == PublicKeySHA256(c.Public)
		if recorded && !slices.ContainsFunc(c.Keys, func(o *Key) bool { return o.Year == y }) {
			c.addProblem(FoundReused, "", "its key is that of %s: every year has its own", y)
		}
	}
	for _, o := range c.Keys {
		if o.Year == c.Year {
			continue
		}
		if slices.ContainsFunc(o.publicKeys(), func(pub crypto.PublicKey) bool {
			return EqualPublic(pub, c.Public) || EqualPublic(pub, c.Cert.PublicKey)
		}) {
			c.addProblem(FoundReused, "", "its key is that of %s: every year has its own", o.Year)
		}
		if o.Cert != nil && o.Cert.SerialNumber.Cmp(c.Cert.SerialNumber) == 0 && bytes.Equal(o.Cert.RawIssuer, c.Cert.RawIssuer) {
			c.addWarning(FoundSerialReused, "a new serial number", "it has the issuer and the serial number of our signing certificate (%s): "+
				"software that knows certificates by these (NSS, Windows) takes one for the other", o.Year)
		}
	}
}

func (c *importCheck) checkDates(now time.Time) {
	span := c.Span
	from, until := c.Cert.NotBefore.UTC(), c.Cert.NotAfter.UTC()
	ask := fmt.Sprintf("one that is valid from %s or before until %s", formatDate(span.LatestBeginAt), formatDate(span.EndAt))
	switch {
	case !until.After(now):
		c.addProblem(FoundEnded, ask, "it ended on %s", formatDate(until))
	case until.Before(span.EarliestEndAt):
		c.addProblem(FoundShort, ask, "it ends on %s: that is before %s, until when service providers need it to have time to move to the next year",
			formatDate(until), formatDate(span.EarliestEndAt))
	case until.Before(span.EndAt):
		c.addWarning(FoundEndsSooner, "", "it ends on %s, before the calendar's %s: service providers have that much less time to move to the next year", formatDate(until), formatDate(span.EndAt))
	}
	switch {
	case from.After(span.LatestBeginAt):
		c.addProblem(FoundLate, ask, "it is not valid before %s, and %s is published on %s", from.Format(time.RFC3339), c.Year, formatDate(span.LatestBeginAt))
	case from.After(now):
		c.addWarning(FoundBeginsAhead, "", "it is not valid before %s: publish %s no earlier", from.Format(time.RFC3339), c.Year)
	}
}

func formatDate(t time.Time) string { return t.UTC().Format(time.DateOnly) }
