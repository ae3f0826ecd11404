package certs

import (
	"bytes"
	"crypto/x509"
	"errors"
	"slices"
)

// checkSignature checks how the certificate itself is signed. No one needs to verify that
// signature, but old software reads it, and strict software may refuse it.
func (c *importCheck) checkSignature() {
	const request = "a certificate that is signed with RSA and SHA-256"
	switch a := c.Cert.SignatureAlgorithm; a {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA:
	case x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		c.addWarning(FoundSHA1, request, "it is signed with SHA-1 (%s): strict software refuses such certificates", a)
	case x509.MD2WithRSA, x509.MD5WithRSA:
		c.addProblem(FoundAlgorithm, request, "it is signed with %s, which anyone can forge", a)
	case x509.UnknownSignatureAlgorithm:
		c.addWarning(FoundAlgorithm, request, "it is signed with an unknown algorithm: old software cannot read such certificates")
	default:
		c.addWarning(FoundAlgorithm, request, "it is signed with %s: old software cannot read such certificates", a)
	}
	// A self-signed certificate can be verified with its own key. An algorithm that Go refuses
	// is reported above.
	if c.isSelfSigned() {
		err := c.Cert.CheckSignature(c.Cert.SignatureAlgorithm, c.Cert.RawTBSCertificate, c.Cert.Signature)
		if _, isInsecure := errors.AsType[x509.InsecureAlgorithmError](err); err != nil && !isInsecure && !errors.Is(err, x509.ErrUnsupportedAlgorithm) {
			c.addWarning(FoundBroken, "", "its subject and issuer are the same, but it is not signed with its own key: check that the file is unchanged")
		}
	}
}

// isSelfSigned reports whether the certificate names its own key as its issuer. Comparing names is
// not enough, because an authority may have the name of its customer.
func (c *importCheck) isSelfSigned() bool {
	return bytes.Equal(c.Cert.RawIssuer, c.Cert.RawSubject) &&
		(len(c.Cert.AuthorityKeyId) == 0 || bytes.Equal(c.Cert.AuthorityKeyId, c.Cert.SubjectKeyId))
}

func (c *importCheck) checkUses() {
	if c.Cert.Version < 3 {
		c.addWarning(FoundVersion, "a certificate of X.509 version 3", "its X.509 version is %d, which some software refuses", c.Cert.Version)
	}
	if c.Cert.IsCA {
		c.addWarning(FoundCA, "a certificate with CA:FALSE", "it is a CA certificate (CA:TRUE): some software does not accept one for a signature, "+
			"and software that trusts it may trust every certificate that its key signs")
	}
	if c.Cert.KeyUsage != 0 && c.Cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		c.addWarning(FoundKeyUsage, "the key usage digitalSignature", "its key usage does not allow digital signatures: strict software refuses its signatures")
	}
	if n := len(c.Cert.ExtKeyUsage) + len(c.Cert.UnknownExtKeyUsage); n > 0 && !slices.Contains(c.Cert.ExtKeyUsage, x509.ExtKeyUsageAny) {
		c.addWarning(FoundExtKeyUsage, "a certificate without extended key usage", "its extended key usage limits it to other purposes, such as TLS: some software refuses its signatures")
	}
	for _, oid := range c.Cert.UnhandledCriticalExtensions {
		c.addWarning(FoundCritical, "a certificate without it", "it has an unknown critical extension (%s): software that does not know the extension must refuse the certificate", oid)
	}
}

// checkSerial checks the serial number (RFC 5280 §4.1.2.2): positive, at most 20 octets. A
// certificate with a negative one does not parse.
func (c *importCheck) checkSerial() {
	n := c.Cert.SerialNumber
	switch bits := n.BitLen(); {
	case n.Sign() == 0:
		c.addWarning(FoundSerial, "a serial number of 8 to 20 octets", "its serial number is 0, which some software refuses")
	case bits >= 20*8:
		c.addWarning(FoundSerial, "a serial number of 8 to 20 octets", "its serial number is longer than 20 octets, which some software cannot read")
	case bits < 64-8:
		c.addWarning(FoundSerial, "a serial number of 8 to 20 octets", "its serial number is short (%s): another certificate of the same issuer may have the same, and software then confuses the two", n)
	}
}

// checkNames warns of empty names.
func (c *importCheck) checkNames() {
	if len(c.Cert.Subject.Names) == 0 {
		c.addWarning(FoundName, "a certificate with a common name", "its subject is empty: some software identifies certificates by their subject")
	}
	if len(c.Cert.Issuer.Names) == 0 {
		c.addWarning(FoundName, "a certificate with an issuer", "its issuer is empty, which some software refuses")
	}
}
