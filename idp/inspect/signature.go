package inspect

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/partnercert"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

const (
	// maxTried bounds the service providers whose certificates are tried.
	maxTried = 2000
	// maxCarried bounds the certificates that are read of one document.
	maxCarried = 8
)

// signatureHints find out why no certificate of the sender verifies a message:
// what else does. Trying proves nothing about who sent it.
func (s *Service) signatureHints(ctx context.Context, msg *saml.Message, p *sp.Provider, at time.Time, err error) (a advice, broken error) {
	var why *idp.Refusal
	if !errors.As(err, &why) {
		return a, nil
	}
	switch why.Code {
	case idp.RefusedDigest:
		a.hint(digestHints(msg, p)...)
		return a, nil
	case idp.RefusedSignature, idp.RefusedNoCertificate:
	default:
		return a, nil
	}
	if how := otherText(msg.Detached, p.RequestCerts); how != "" {
		a.hint("a registered certificate verifies it over another text, " + how + ": sign the query exactly as it is sent")
		return a, nil
	}
	a = carriedHints(msg, p)
	other, err := s.otherSigner(ctx, msg, p, at)
	if other != "" {
		a.hint(other)
	}
	if len(a.hints) == 0 {
		a.hint(fmt.Sprintf("none of the certificates registered with anybody here verifies it; those of %s: %s", p.EntityID, certificateNames(p.RequestCerts)))
	}
	return a, err
}

// digestHints name the certificate that fits although the message does not.
func digestHints(msg *saml.Message, p *sp.Provider) []string {
	for _, c := range p.RequestCerts {
		_, _, err := msg.Verify([]*x509.Certificate{c}, true)
		var why *idp.Refusal
		if errors.As(err, &why) && why.Code == idp.RefusedDigest {
			return []string{"the signature was made with the key of the registered certificate " + nameCertificate(c) + ", over another message than this one"}
		}
	}
	return nil
}

// carriedHints are about the certificate that the message brings along, which
// the server does not heed: anybody can bring one.
func carriedHints(msg *saml.Message, p *sp.Provider) (a advice) {
	for _, c := range embeddedCertificates(msg.Root) {
		if slices.ContainsFunc(p.RequestCerts, c.Equal) {
			a.hint("the message carries the registered certificate " + nameCertificate(c) + ", and was not signed with its key")
			continue
		}
		_, _, err := msg.Verify([]*x509.Certificate{c}, true)
		if err != nil {
			a.hint("the message carries the certificate " + nameCertificate(c) + ", which does not verify it either")
			continue
		}
		a.hint("the certificate that the message carries verifies it, and is not registered: " + nameCertificate(c) +
			"; register it if the people of the service provider confirm its SHA-256, " + certs.CertSHA256(c))
		a.suggest(idp.Suggest(idp.DoSPEdit, string(p.EntityID)).With(idp.OptionCert, "").Labeled(idp.LabelRegister))
	}
	return a
}

// embeddedCertificates are the certificates in the KeyInfo of a message's own signature.
func embeddedCertificates(root *xmltree.Element) (list []*x509.Certificate) {
	if signature := root.Child(xmldsig.Namespace, "Signature"); signature != nil {
		return certificatesIn(signature)
	}
	return nil
}

// certificatesIn are those within an element, each once, a few at most.
func certificatesIn(within *xmltree.Element) (list []*x509.Certificate) {
	for e := range within.All() {
		if !e.Is(xmldsig.Namespace, "X509Certificate") || len(list) == maxCarried {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(e.Text()), ""))
		if err != nil {
			continue
		}
		if c, err := partnercert.Parse(der); err == nil && !slices.ContainsFunc(list, c.Equal) {
			list = append(list, c)
		}
	}
	return list
}

// otherSigner looks for who else's certificate verifies a message.
func (s *Service) otherSigner(ctx context.Context, msg *saml.Message, p *sp.Provider, at time.Time) (string, error) {
	if c := findVerifier(msg, p.EncryptionX509); c != nil {
		return "the encryption certificate of the service provider verifies it, " + nameCertificate(c) + ", which is not registered for requests", nil
	}
	if s.Years != nil {
		ours, _ := s.ourCertificates(at)
		if c := findVerifier(msg, ours); c != nil {
			return "our own certificate verifies it, " + nameCertificate(c) + ": the service provider signs with the key of this identity provider", nil
		}
	}
	all, err := s.Registry.All(ctx)
	if err != nil {
		return "", err
	}
	for _, o := range all[:min(len(all), maxTried)] {
		if o.EntityID == p.EntityID {
			continue
		}
		if c := findVerifier(msg, slices.Concat(o.RequestCerts, o.EncryptionX509)); c != nil {
			return fmt.Sprintf("the certificate of another service provider verifies it, %s: %s", o.EntityID, nameCertificate(c)), nil
		}
	}
	return "", nil
}

// findVerifier is the certificate that verifies a message; nil if none does.
func findVerifier(msg *saml.Message, certs []*x509.Certificate) *x509.Certificate {
	_, cert, err := msg.Verify(certs, true)
	if err != nil {
		return nil
	}
	return cert
}

func certificateNames(list []*x509.Certificate) string {
	if len(list) == 0 {
		return "none"
	}
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = nameCertificate(c)
	}
	return listValues(out)
}

// encodings are the ways in which software writes a value into a query.
var encodings = []struct {
	name   string
	encode func(string) string
}{
	{"with upper-case percent-encoding (%2B)", url.QueryEscape},
	{"with lower-case percent-encoding (%2b)", func(s string) string { return lowerHex(url.QueryEscape(s)) }},
	{"with %20 for a space", func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }},
	{"with lower-case percent-encoding and %20 for a space", func(s string) string {
		return lowerHex(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"))
	}},
	{"percent-encoded as a path is", url.PathEscape},
	{"percent-encoded twice", func(s string) string { return url.QueryEscape(url.QueryEscape(s)) }},
	{"not percent-encoded at all", func(s string) string { return s }},
}

var percent = regexp.MustCompile(`%[0-9A-F]{2}`)

func lowerHex(s string) string { return percent.ReplaceAllStringFunc(s, strings.ToLower) }

// order is a way to put a query together that is signed.
type order struct {
	name string
	text func(request, relay, alg string) string
}

// orders are the right text, and those that software signs by mistake. The parameters are given
// encoded; relay is "" where there is none.
var orders = []order{
	{"in the order of the standard", func(request, relay, alg string) string { return request + relay + alg }},
	{"without RelayState", func(request, _, alg string) string { return request + alg }},
	{"with RelayState last", func(request, relay, alg string) string { return request + alg + relay }},
	{"with RelayState first", func(request, relay, alg string) string { return strings.TrimPrefix(relay, "&") + "&" + request + alg }},
	{"with an empty RelayState", func(request, _, alg string) string { return request + "&RelayState=" + alg }},
	{"without SigAlg", func(request, relay, _ string) string { return request + relay }},
	{"of SAMLRequest alone", func(request, _, _ string) string { return request }},
	{"of the value of SAMLRequest alone", func(request, _, _ string) string { return strings.TrimPrefix(request, "SAMLRequest=") }},
}

// rebuiltSigner finds the certificate that verifies a signature of a query whose
// encoding is lost, and the encoding.
func rebuiltSigner(d *saml.Detached, certs []*x509.Certificate) (how string, cert *x509.Certificate) {
	return signedText(d, certs, false)
}

// otherText tells which text a signature in the query was made over, if it is one
// that software is known to sign by mistake; "" if it is none of them.
func otherText(d *saml.Detached, certs []*x509.Certificate) string {
	how, _ := signedText(d, certs, true)
	return how
}

// signedText finds the text that a signature in the query was made over, and the
// certificate that verifies it: the order of the standard in each encoding or, with
// mistakes, every order in each encoding and as it came.
func signedText(d *saml.Detached, certs []*x509.Certificate, mistakes bool) (how string, cert *x509.Certificate) {
	if d == nil {
		return "", nil
	}
	query := string(d.Signed)
	verify := func(o order, request, relay, alg string) bool {
		if parameterValue(query, "RelayState") == "" {
			relay = ""
		}
		cert, _ = xmldsig.VerifyDetached([]byte(o.text("SAMLRequest="+request, relay, "&SigAlg="+alg)), d.SigAlg, d.Signature, certs)
		return cert != nil
	}
	request, _ := plainValue(query, "SAMLRequest")
	relay, _ := plainValue(query, "RelayState")
	alg, _ := plainValue(query, "SigAlg")
	for _, o := range orders {
		if mistakes && verify(o, parameterValue(query, "SAMLRequest"), "&RelayState="+parameterValue(query, "RelayState"), parameterValue(query, "SigAlg")) {
			return o.name, cert
		}
		for _, e := range encodings {
			if !verify(o, e.encode(request), "&RelayState="+e.encode(relay), e.encode(alg)) {
				continue
			}
			if mistakes {
				return e.name + ", " + o.name, cert
			}
			return e.name, cert
		}
		if !mistakes {
			break
		}
	}
	return "", nil
}
