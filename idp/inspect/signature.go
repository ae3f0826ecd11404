package inspect

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/xmldsig"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

// maxTriedProviders bounds the service providers whose certificates are tried.
const maxTriedProviders = 2000

// hintSignature finds out why no certificate of the sender verifies a message, by trying
// others. That proves nothing about the sender.
func (s *Service) hintSignature(ctx context.Context, r *Report, msg *saml.Message, p *sp.Provider, code idp.RefusalCode) error {
	switch code {
	case idp.RefusedDigest:
		r.hintDigest(msg, p)
		return nil
	case idp.RefusedSignature, idp.RefusedNoCertificate:
	default:
		return nil
	}
	if how, _ := findSignedText(msg.QuerySignature, p.RequestCerts, true); how != "" {
		r.addHint("a registered certificate verifies it over another text, " + how + ": sign the query exactly as it is sent")
		return nil
	}
	carried := listEmbeddedCerts(msg.Root)
	r.hintEmbeddedCerts(msg, p, carried)
	other, err := s.findOtherSigner(ctx, msg, p, r.AssumedAt)
	r.addHint(other)
	if other == "" && len(carried) == 0 {
		r.addHint(fmt.Sprintf("no certificate that is registered here verifies it. The certificates of %s are: %s", p.EntityID, listCertificateNames(p.RequestCerts)))
	}
	return err
}

// hintDigest names the certificate whose signature is valid although the message was changed.
func (r *Report) hintDigest(msg *saml.Message, p *sp.Provider) {
	for _, c := range p.RequestCerts {
		if _, _, err := msg.Verify([]*x509.Certificate{c}, true); findRefusalCode(err) == idp.RefusedDigest {
			r.addHint("the signature was made with the key of the registered certificate " + nameCertificate(c) + ", over another message than this one")
			return
		}
	}
}

// hintEmbeddedCerts compares the certificates in the message with the registered ones. The server
// ignores them, because anyone can include one.
func (r *Report) hintEmbeddedCerts(msg *saml.Message, p *sp.Provider, carried []*x509.Certificate) {
	for _, c := range carried {
		switch {
		case slices.ContainsFunc(p.RequestCerts, c.Equal):
			r.addHint("the message carries the registered certificate " + nameCertificate(c) + ", and was not signed with its key")
		case findVerifier(msg, []*x509.Certificate{c}) == nil:
			r.addHint("the message carries the certificate " + nameCertificate(c) + ", which does not verify it either")
		default:
			r.addHint("the certificate that the message carries verifies it, and is not registered: " + nameCertificate(c) +
				"; register it if the contact of the service provider confirms its SHA-256, " + certs.CertSHA256(c))
			r.addSuggestion(idp.Suggest(idp.DoSPEdit, string(p.EntityID)).WithOption(idp.OptionCert, "").WithLabel(idp.LabelRegister))
		}
	}
}

// listEmbeddedCerts returns the certificates in the KeyInfo of a message's own signature.
func listEmbeddedCerts(root *xmltree.Element) (list []*x509.Certificate) {
	if signature := root.Child(xmldsig.Namespace, "Signature"); signature != nil {
		return xmlenc.ListCertificates(signature)
	}
	return nil
}

// findOtherSigner looks for another party's certificate that verifies a message.
func (s *Service) findOtherSigner(ctx context.Context, msg *saml.Message, p *sp.Provider, at time.Time) (string, error) {
	if c := findVerifier(msg, p.EncryptionX509); c != nil {
		return "the encryption certificate of the service provider verifies it, " + nameCertificate(c) + ", which is not registered for requests", nil
	}
	if s.Years != nil {
		ours, _ := s.listOurCertificates(at)
		if c := findVerifier(msg, ours); c != nil {
			return "our own certificate verifies it, " + nameCertificate(c) + ": the service provider signs with the key of this identity provider", nil
		}
	}
	all, err := s.Registry.All(ctx)
	if err != nil {
		return "", err
	}
	for _, o := range all[:min(len(all), maxTriedProviders)] {
		if o.EntityID == p.EntityID {
			continue
		}
		if c := findVerifier(msg, slices.Concat(o.RequestCerts, o.EncryptionX509)); c != nil {
			return fmt.Sprintf("the certificate of another service provider verifies it, %s: %s", o.EntityID, nameCertificate(c)), nil
		}
	}
	return "", nil
}

// findVerifier returns the certificate that verifies a message, or nil.
func findVerifier(msg *saml.Message, certs []*x509.Certificate) *x509.Certificate {
	_, cert, err := msg.Verify(certs, true)
	if err != nil {
		return nil
	}
	return cert
}

func listCertificateNames(list []*x509.Certificate) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = nameCertificate(c)
	}
	return cmp.Or(listValues(names), "none")
}

// encodings lists the ways in which software encodes a value in a query.
var encodings = []struct {
	name   string
	encode func(string) string
}{
	{"with upper-case percent-encoding (%2B)", url.QueryEscape},
	{"with lower-case percent-encoding (%2b)", func(s string) string { return lowercaseEscapes(url.QueryEscape(s)) }},
	{"with %20 for a space", func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }},
	{"with lower-case percent-encoding and %20 for a space", func(s string) string {
		return lowercaseEscapes(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"))
	}},
	{"percent-encoded as a path is", url.PathEscape},
	{"percent-encoded twice", func(s string) string { return url.QueryEscape(url.QueryEscape(s)) }},
	{"not percent-encoded at all", func(s string) string { return s }},
}

var upperEscape = regexp.MustCompile(`%[0-9A-F]{2}`)

func lowercaseEscapes(s string) string { return upperEscape.ReplaceAllStringFunc(s, strings.ToLower) }

// order is a way to build the query text that is signed.
type order struct {
	name string
	text func(request, relay, alg string) string
}

// orders lists the correct text, and those that software signs by mistake. The parameters are
// encoded, and relay is "" without a RelayState.
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

// findSignedText finds the text that a signature in the query was made over, and the certificate
// that verifies it: the order of the standard in each encoding or, with mistakes, every order
// in each encoding and as it came.
func findSignedText(d *saml.QuerySignature, certs []*x509.Certificate, mistakes bool) (how string, cert *x509.Certificate) {
	if d == nil {
		return "", nil
	}
	query := string(d.SignedText)
	verify := func(o order, request, relay, alg string) bool {
		if findParameter(query, "RelayState") == "" {
			relay = ""
		}
		cert, _ = xmldsig.VerifyDetached([]byte(o.text("SAMLRequest="+request, relay, "&SigAlg="+alg)), d.SigAlg, d.Signature, certs)
		return cert != nil
	}
	request, _ := decodeParameter(query, "SAMLRequest")
	relay, _ := decodeParameter(query, "RelayState")
	alg, _ := decodeParameter(query, "SigAlg")
	for _, o := range orders {
		if mistakes && verify(o, findParameter(query, "SAMLRequest"), "&RelayState="+findParameter(query, "RelayState"), findParameter(query, "SigAlg")) {
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
