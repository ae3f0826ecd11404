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
		a.hint(fmt.Sprintf("none of the certificates registered with anybody here verifies it; those of %s: %s", p.EntityID, names(p.RequestCerts)))
	}
	return a, err
}

// digestHints name the certificate that fits although the message does not.
func digestHints(msg *saml.Message, p *sp.Provider) []string {
	for _, c := range p.RequestCerts {
		_, _, err := msg.Verify([]*x509.Certificate{c}, true)
		var why *idp.Refusal
		if errors.As(err, &why) && why.Code == idp.RefusedDigest {
			return []string{"the signature was made with the key of the registered certificate " + called(c) + ", over another message than this one"}
		}
	}
	return nil
}

// carriedHints are about the certificate that the message brings along, which
// the server does not heed: anybody can bring one.
func carriedHints(msg *saml.Message, p *sp.Provider) (a advice) {
	for _, c := range carried(msg.Root) {
		if slices.ContainsFunc(p.RequestCerts, c.Equal) {
			a.hint("the message carries the registered certificate " + called(c) + ", and was not signed with its key")
			continue
		}
		_, _, err := msg.Verify([]*x509.Certificate{c}, true)
		if err != nil {
			a.hint("the message carries the certificate " + called(c) + ", which does not verify it either")
			continue
		}
		a.hint("the certificate that the message carries verifies it, and is not registered: " + called(c) +
			"; register it if the people of the service provider confirm its SHA-256, " + certs.CertSHA256(c))
		a.suggest(idp.Suggest(idp.DoSPEdit, string(p.EntityID)).With(idp.OptionCert, "").Labeled(idp.LabelRegister))
	}
	return a
}

// carried are the certificates in the KeyInfo of a message's own signature.
func carried(root *xmltree.Element) (list []*x509.Certificate) {
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
	if c := verifies(msg, p.EncryptionX509); c != nil {
		return "the encryption certificate of the service provider verifies it, " + called(c) + ", which is not registered for requests", nil
	}
	if s.Years != nil {
		ours, _ := s.ours(at)
		if c := verifies(msg, ours); c != nil {
			return "our own certificate verifies it, " + called(c) + ": the service provider signs with the key of this identity provider", nil
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
		if c := verifies(msg, slices.Concat(o.RequestCerts, o.EncryptionX509)); c != nil {
			return fmt.Sprintf("the certificate of another service provider verifies it, %s: %s", o.EntityID, called(c)), nil
		}
	}
	return "", nil
}

// verifies is the certificate that verifies a message; nil if none does.
func verifies(msg *saml.Message, certs []*x509.Certificate) *x509.Certificate {
	_, cert, err := msg.Verify(certs, true)
	if err != nil {
		return nil
	}
	return cert
}

func names(list []*x509.Certificate) string {
	if len(list) == 0 {
		return "none"
	}
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = called(c)
	}
	return listed(out)
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

// orders are the texts that software signs by mistake. The parameters are given
// encoded; relay is "" where there is none.
var orders = []struct {
	name string
	text func(request, relay, alg string) string
}{
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
	if d == nil {
		return "", nil
	}
	query := string(d.Signed)
	request, _ := plainValue(query, "SAMLRequest")
	relay, hasRelay := plainValue(query, "RelayState")
	alg, _ := plainValue(query, "SigAlg")
	for _, e := range encodings {
		text := "SAMLRequest=" + e.encode(request)
		if hasRelay {
			text += "&RelayState=" + e.encode(relay)
		}
		cert, err := xmldsig.VerifyDetached([]byte(text+"&SigAlg="+e.encode(alg)), d.SigAlg, d.Signature, certs)
		if err == nil {
			return e.name, cert
		}
	}
	return "", nil
}

// otherText tells which text a signature in the query was made over, if it is one
// that software is known to sign by mistake; "" if it is none of them.
func otherText(d *saml.Detached, certs []*x509.Certificate) string {
	if d == nil {
		return ""
	}
	query := string(d.Signed)
	request, _ := plainValue(query, "SAMLRequest")
	relay, hasRelay := plainValue(query, "RelayState")
	alg, _ := plainValue(query, "SigAlg")
	try := func(text string) bool {
		_, err := xmldsig.VerifyDetached([]byte(text), d.SigAlg, d.Signature, certs)
		return err == nil
	}
	for _, o := range orders {
		raw := ""
		if hasRelay {
			raw = "&RelayState=" + value(query, "RelayState")
		}
		if try(o.text("SAMLRequest="+value(query, "SAMLRequest"), raw, "&SigAlg="+value(query, "SigAlg"))) {
			return o.name
		}
		for _, e := range encodings {
			if hasRelay {
				raw = "&RelayState=" + e.encode(relay)
			}
			if try(o.text("SAMLRequest="+e.encode(request), raw, "&SigAlg="+e.encode(alg))) {
				return e.name + ", " + o.name
			}
		}
	}
	return ""
}
