package xmldsig

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"vernal/idp"
	"vernal/idp/xmltree"
)

// MaxCertificates is the maximum number of certificates to try for one sender.
const MaxCertificates = 10

// VerifiedDocument is a document whose signature verified.
type VerifiedDocument struct {
	// Element is the signed element, parsed from the canonical form that was digested, without
	// the Signature. Callers must read nothing else of the document.
	Element *xmltree.Element
	// Cert is the certificate whose key verified the signature.
	Cert *x509.Certificate
}

// VerifyEnveloped verifies the signature that Signature finds, with each of the certificates
// separately. The error is a *idp.Refusal: RefusedSignatureMissing without a signature,
// RefusedDigest if a certificate matches but the document changed since it was signed,
// RefusedSignature if no certificate matches.
func VerifyEnveloped(root *xmltree.Element, certs []*x509.Certificate) (*VerifiedDocument, error) {
	return verifySignature(root, FindSignature, certs)
}

// VerifyMetadata is VerifyEnveloped for an EntityDescriptor, whose signature is
// its first child.
func VerifyMetadata(root *xmltree.Element, certs []*x509.Certificate) (*VerifiedDocument, error) {
	return verifySignature(root, findMetadataSignature, certs)
}

// VerifyResponse is VerifyEnveloped for a message that may contain signed elements other than its
// own signature, as a Response with a signed assertion does. We accept no such message from
// others. Package inspect verifies our own with it.
func VerifyResponse(root *xmltree.Element, certs []*x509.Certificate) (*VerifiedDocument, error) {
	return verifySignature(root, findOuterSignature, certs)
}

func verifySignature(root *xmltree.Element, find func(*xmltree.Element) (*xmltree.Element, error), certs []*x509.Certificate) (*VerifiedDocument, error) {
	signature, err := find(root)
	if err != nil {
		return nil, err
	}
	if signature == nil {
		return nil, idp.Refuse(idp.RefusedSignatureMissing, "Signature", "")
	}
	value, err := checkSignature(root, signature)
	if err != nil {
		return nil, err
	}
	if certs = selectCertificates(certs); len(certs) == 0 {
		return nil, idp.Refuse(idp.RefusedNoCertificate, "KeyDescriptor", describeSignature(signature))
	}
	tree := convertToEtree(root, signature, value)
	var reportErr error
	for _, cert := range certs {
		element, err := validateWithCert(tree, cert)
		if err == nil {
			return readVerified(root, signature, element, cert)
		}
		// Any error but rsa.ErrVerification means that the key matches, so report it.
		if reportErr == nil || !errors.Is(err, rsa.ErrVerification) {
			reportErr = err
		}
	}
	if errors.Is(reportErr, rsa.ErrVerification) {
		return nil, idp.Refuse(idp.RefusedSignature, "SignatureValue", describeSignature(signature), strconv.Itoa(len(certs))).WithCause(reportErr)
	}
	return nil, idp.Refuse(idp.RefusedDigest, "DigestValue", readDigestValue(signature)).WithCause(reportErr)
}

// describeSignature describes how a checked signature was made: its algorithm, which is ours,
// and the SHA-256 of the certificate in it. It quotes no text of the message, so the log and
// the audit trail may contain the result.
func describeSignature(signature *xmltree.Element) string {
	description := "SignatureMethod " + AlgorithmRSASHA256
	for e := range signature.All() {
		if !e.Is(Namespace, "X509Certificate") {
			continue
		}
		if der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(e.Text()), "")); err == nil && len(der) > 0 {
			return fmt.Sprintf("%s, X509Certificate SHA-256 %x", description, sha256.Sum256(der))
		}
	}
	return description
}

// readDigestValue returns the digest in a checked signature.
func readDigestValue(signature *xmltree.Element) string {
	for e := range signature.All() {
		if e.Is(Namespace, "DigestValue") {
			return strings.TrimSpace(e.Text())
		}
	}
	return ""
}

// validateWithCert calls goxmldsig with the key of one certificate only. An SP's expired
// certificate causes a warning in the packages that use this one, and is never refused here.
func validateWithCert(tree *etree.Element, cert *x509.Certificate) (*etree.Element, error) {
	bareCert := &x509.Certificate{PublicKey: cert.PublicKey, PublicKeyAlgorithm: cert.PublicKeyAlgorithm}
	ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{
		Roots: []*x509.Certificate{bareCert},
	})
	ctx.Clock = dsig.NewFakeClockAt(bareCert.NotAfter)
	return ctx.Validate(tree)
}

// readVerified converts the element that goxmldsig verified.
func readVerified(root, signature *xmltree.Element, tree *etree.Element, cert *x509.Certificate) (*VerifiedDocument, error) {
	element, err := convertFromEtree(tree)
	if err != nil {
		return nil, idp.Refuse(idp.RefusedSignatureShape, "Signature", "ds:Signature").WithCause(err)
	}
	if !isEqualWithout(root, signature, element) {
		return nil, idp.Refuse(idp.RefusedSignatureShape, "Signature", "ds:Signature").
			WithCause(errors.New("the verified element differs from the document"))
	}
	return &VerifiedDocument{Element: element, Cert: cert}, nil
}

// VerifyDetached verifies a signature over the text of a query with each of the certificates
// separately, and returns the matching one. The error is a *idp.Refusal.
func VerifyDetached(query []byte, sigAlg string, signature []byte, certs []*x509.Certificate) (*x509.Certificate, error) {
	if sigAlg != AlgorithmRSASHA256 {
		return nil, idp.Refuse(idp.RefusedSignatureAlgorithm, "SigAlg", sigAlg, AlgorithmRSASHA256)
	}
	seenValue := "SigAlg " + AlgorithmRSASHA256
	if certs = selectCertificates(certs); len(certs) == 0 {
		return nil, idp.Refuse(idp.RefusedNoCertificate, "KeyDescriptor", seenValue)
	}
	digest := sha256.Sum256(query)
	for _, cert := range certs {
		key := cert.PublicKey.(*rsa.PublicKey)
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil {
			return cert, nil
		}
	}
	return nil, idp.Refuse(idp.RefusedSignature, "Signature", seenValue, strconv.Itoa(len(certs)))
}

// selectCertificates returns the certificates whose keys can be trusted, at most
// MaxCertificates of them.
func selectCertificates(certs []*x509.Certificate) []*x509.Certificate {
	if len(certs) <= MaxCertificates && !slices.ContainsFunc(certs, isUntrustedKey) {
		return certs
	}
	usable := slices.DeleteFunc(slices.Clone(certs), isUntrustedKey)
	return usable[:min(len(usable), MaxCertificates)]
}

func isUntrustedKey(cert *x509.Certificate) bool {
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	return !ok || key.N.BitLen() < idp.MinKeyBits
}
