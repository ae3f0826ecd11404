package discovery

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
)

type File struct {
	Name    string `json:"name"`
	Content []byte `json:"content"`
}

// Export makes the proof of a year's certificate for verification out of band: certificate,
// current or future metadata, fingerprints, and a statement with a detached signature of each
// live older year and of the year itself. A partner that trusts an older year can verify the
// new one by the old key's signature. It returns idp.ErrNotFound if the year cannot sign.
//
// The keys also sign assertions. The statement begins with text that no SAML message and no
// query begins with, so its signature cannot be used for anything else.
func (h *Handler) Export(y idp.Year) ([]File, error) {
	defer h.Years.BeginSigning()()
	now := h.Clock.Now().UTC()
	entry, ok := h.Years.Lookup(y, now)
	if !ok || entry.Key.Signer == nil || entry.Key.Cert == nil || entry.State.IsOver() {
		return nil, fmt.Errorf("export %s: %w", y, idp.ErrNotFound)
	}
	doc, err := h.cachedDocument(y, entry, now)
	if err != nil {
		return nil, err
	}
	signers := h.listSigners(entry, now)
	cert := entry.Key.Cert
	statement := h.writeStatement(entry, signers, doc.body, now)
	files := []File{
		{string(y) + ".pem", []byte(certs.EncodePEM(cert))},
		{string(y) + ".der", cert.Raw},
		{"metadata" + string(y) + ".xml", bytes.Clone(doc.body)},
		{"fingerprints.txt", []byte(formatFingerprints(cert))},
		{statementName, statement},
	}
	sum := sha256.Sum256(statement)
	for _, e := range signers {
		signature, err := e.Key.Signer.Sign(rand.Reader, sum[:], crypto.SHA256)
		if err != nil {
			return nil, fmt.Errorf("sign the statement with the key of %s: %w", e.Key.Year, err)
		}
		files = append(files, File{nameSignature(e.Key.Year), signature})
	}
	return files, nil
}

const statementName = "statement.txt"

func nameSignature(y idp.Year) string { return statementName + "." + string(y) + ".sig" }

// listSigners returns the years that sign a statement: the live older ones that can, oldest
// first, and the year itself.
func (h *Handler) listSigners(entry keyring.Entry, now time.Time) []keyring.Entry {
	var all []keyring.Entry
	for _, e := range slices.Backward(h.Years.Live(now)) {
		if e.Key.Year < entry.Key.Year && e.Key.Signer != nil {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b keyring.Entry) int { return strings.Compare(string(a.Key.Year), string(b.Key.Year)) })
	return append(all, entry)
}

// writeStatement describes the year in prose.
func (h *Handler) writeStatement(entry keyring.Entry, signers []keyring.Entry, doc []byte, now time.Time) []byte {
	var b bytes.Buffer
	y, cert := entry.Key.Year, entry.Key.Cert
	line := func(name, value string) { fmt.Fprintf(&b, "%-20s %s\n", name+":", value) }
	fmt.Fprintf(&b, `Statement about our signing certificate (%s)

This is the certificate that the identity provider below signs with at the
addresses of %s. Compare its SHA-256 with the certificate you have. How to
check the signatures of this statement is in its last lines.

`, y, y)
	line("Entity ID", string(h.IdP.EntityID()))
	line("Year", string(y))
	line("Sign-on", h.IdP.AuthnURL(y))
	line("Logout", h.IdP.LogoutURL(y))
	line("Metadata", h.IdP.MetadataURL(y))
	line("Certificate", h.IdP.CertificateURL(y))
	b.WriteString("\n")
	line("Subject", idp.ReplaceControls(cert.Subject.String()))
	line("Issuer", idp.ReplaceControls(cert.Issuer.String()))
	line("Serial number", cert.SerialNumber.Text(16))
	line("Valid from", formatTime(cert.NotBefore))
	line("Valid until", formatTime(cert.NotAfter))
	b.WriteString(formatFingerprints(cert))
	sum := sha256.Sum256(doc)
	line("Metadata SHA-256", certs.FormatFingerprint(sum[:]))
	line("Made at", formatTime(now))
	b.WriteString("\nSigned with RSA-SHA256 (PKCS #1 v1.5) by the keys of\n")
	for _, e := range signers {
		sum := sha256.Sum256(e.Key.Cert.Raw)
		fmt.Fprintf(&b, "  %s, certificate SHA-256 %s\n", e.Key.Year, certs.FormatFingerprint(sum[:]))
	}
	b.WriteString("\nTo check it with a certificate that you trust already:\n")
	for _, e := range signers {
		fmt.Fprintf(&b, "  openssl x509 -in %[1]s.pem -pubkey -noout >%[1]s.pub\n"+
			"  openssl dgst -sha256 -verify %[1]s.pub -signature %[2]s %[3]s\n", e.Key.Year, nameSignature(e.Key.Year), statementName)
	}
	return b.Bytes()
}

// formatFingerprints formats the fingerprints of a certificate and its key, for comparison by eye
// or by software.
func formatFingerprints(cert *x509.Certificate) string {
	s256, s1, key := sha256.Sum256(cert.Raw), sha1.Sum(cert.Raw), sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return fmt.Sprintf("%-20s %s\n%-20s %s\n%-20s %s\n",
		"SHA-256:", certs.FormatFingerprint(s256[:]), "SHA-1:", certs.FormatFingerprint(s1[:]), "Public key SHA-256:", certs.FormatFingerprint(key[:]))
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
