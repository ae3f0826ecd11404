package saml

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"vernal/idp"
)

const (
	// maxQuery is far above the size of any signed request, and far below the limit of
	// net/http.
	maxQuery = 64 << 10
	// maxRelayState is our limit. Widely used software exceeds the standard's limit of 80
	// bytes.
	maxRelayState = 2048
	// maxShortValue bounds parameters whose values are single words.
	maxShortValue = 32
)

// parameter is a raw parameter of a query or form.
type parameter struct {
	raw string // the value, still encoded
	isSet bool
}

// parameters holds the known parameters. Any other one is ignored, so that links with tracking
// parameters work.
type parameters struct {
	request, response, relay, sigAlg, signature, encoding parameter // each once
	locale, prompt                                        parameter // the first counts
}

// readParameters reads the query, and the form of a POST. It does not use url.Values, which
// hides repeated parameters, and the signed text needs the values as they were sent.
func readParameters(in HTTPRequest) (p parameters, err error) {
	if len(in.RawQuery) > maxQuery {
		return p, refuseTooLarge(maxQuery)
	}
	if err := p.readPairs(in.RawQuery); err != nil {
		return p, err
	}
	if in.Method == "POST" && len(in.Body) > 0 {
		mediaType, _, _ := strings.Cut(in.ContentType, ";")
		if !strings.EqualFold(strings.TrimSpace(mediaType), formType) {
			return p, idp.Refuse(idp.RefusedParameterInvalid, "Content-Type", in.ContentType, formType)
		}
		if err := p.readPairs(string(in.Body)); err != nil {
			return p, err
		}
	}
	return p, p.checkPairs()
}

const formType = "application/x-www-form-urlencoded"

// readPairs adds the pairs of a query or form.
func (p *parameters) readPairs(s string) error {
	for s != "" {
		var pair string
		pair, s, _ = strings.Cut(s, "&")
		name, value, _ := strings.Cut(pair, "=")
		// Names are compared decoded: %53AMLRequest is a SAMLRequest to
		// every other reader, so it must count as one here.
		name, err := url.QueryUnescape(name)
		if err != nil {
			return idp.Refuse(idp.RefusedParameterInvalid, "parameter name", pair).WithCause(err)
		}
		i := slices.Index(parameterNames[:], name)
		if i < 0 {
			continue
		}
		known, once := p.list()[i], i < len(parameterNames)-2
		switch {
		case !known.isSet:
			*known = parameter{raw: value, isSet: true}
		case once:
			return idp.Refuse(idp.RefusedParameterTwice, name, name+", "+name, name)
		}
	}
	return nil
}

var parameterNames = [...]string{"SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding", "locale", "prompt"}

// list returns the parameters in the order of parameterNames.
func (p *parameters) list() [len(parameterNames)]*parameter {
	return [...]*parameter{&p.request, &p.response, &p.relay, &p.sigAlg, &p.signature, &p.encoding, &p.locale, &p.prompt}
}

// checkPairs refuses combinations of parameters that are not allowed.
func (p *parameters) checkPairs() error {
	switch {
	case p.response.isSet && p.request.isSet:
		// Verifying a signature over one of them while reading the message from the other was
		// CVE-2025-27773.
		return idp.Refuse(idp.RefusedParameterConflict, "SAMLResponse", "SAMLRequest, SAMLResponse", "SAMLRequest", "SAMLResponse")
	case p.response.isSet:
		return idp.Refuse(idp.RefusedMessageType, "SAMLResponse", "SAMLResponse")
	case p.request.raw == "":
		return idp.Refuse(idp.RefusedRequestMissing, "SAMLRequest", "")
	}
	if p.encoding.isSet {
		encoding, err := url.QueryUnescape(p.encoding.raw)
		if err != nil || encoding != EncodingDeflate {
			return idp.Refuse(idp.RefusedParameterInvalid, "SAMLEncoding", p.encoding.raw, EncodingDeflate)
		}
	}
	return nil
}

// readRelayState copies the RelayState into the message.
func (p *parameters) readRelayState(m *Message) error {
	if !p.relay.isSet {
		return nil
	}
	value, err := url.QueryUnescape(p.relay.raw)
	switch {
	case err != nil:
		return idp.Refuse(idp.RefusedParameterInvalid, "RelayState", p.relay.raw).WithCause(err)
	case len(value) > maxRelayState:
		return idp.Refuse(idp.RefusedRelayState, "RelayState", value, strconv.Itoa(maxRelayState), strconv.Itoa(len(value)))
	case !utf8.ValidString(value) || strings.IndexByte(value, 0) >= 0:
		// No page could return it unchanged.
		return idp.Refuse(idp.RefusedParameterInvalid, "RelayState", p.relay.raw)
	}
	m.RelayState, m.HasRelay = value, true
	return nil
}

// readQuerySignature assembles a signature of the query and the text that it signs. It returns nil
// without a signature.
func (p *parameters) readQuerySignature(isForm bool) (*QuerySignature, error) {
	if !p.sigAlg.isSet && !p.signature.isSet {
		return nil, nil
	}
	// Only the Redirect binding has such a signature, with both parts. An incomplete or empty
	// one does not count as unsigned.
	field := "SigAlg"
	if p.sigAlg.isSet {
		field = "Signature"
	}
	if isForm || p.sigAlg.raw == "" || p.signature.raw == "" {
		var seen []string
		if p.sigAlg.raw != "" {
			seen = append(seen, "SigAlg")
		}
		if p.signature.raw != "" {
			seen = append(seen, "Signature")
		}
		return nil, idp.Refuse(idp.RefusedSignatureParams, field, strings.Join(seen, ", "))
	}
	alg, err := url.QueryUnescape(p.sigAlg.raw)
	if err != nil {
		return nil, idp.Refuse(idp.RefusedParameterInvalid, "SigAlg", p.sigAlg.raw).WithCause(err)
	}
	d := decoders.Get().(*decoder)
	defer d.release()
	signature, err := d.decodeBase64(p.signature.raw, maxSignature)
	if err != nil || len(signature) == 0 {
		return nil, idp.Refuse(idp.RefusedSignatureBase64, "Signature", p.signature.raw).WithCause(err)
	}
	// One buffer holds the text and, after it, the signature.
	n := len("SAMLRequest=&RelayState=&SigAlg=") + len(p.request.raw) + len(p.relay.raw) + len(p.sigAlg.raw)
	buf := append(make([]byte, 0, n+len(signature)), "SAMLRequest="...)
	buf = append(buf, p.request.raw...)
	if p.relay.isSet {
		buf = append(buf, "&RelayState="...)
		buf = append(buf, p.relay.raw...)
	}
	buf = append(buf, "&SigAlg="...)
	buf = append(buf, p.sigAlg.raw...)
	n = len(buf)
	buf = append(buf, signature...)
	return &QuerySignature{SignedText: buf[:n:n], SigAlg: alg, Signature: buf[n:]}, nil
}

// readShortValue returns the decoded value of a parameter whose values are single words.
func (p parameter) readShortValue() string {
	value, err := url.QueryUnescape(p.raw)
	if err != nil || len(value) > maxShortValue || !utf8.ValidString(value) {
		return ""
	}
	return value
}

func refuseTooLarge(limit int) *idp.Refusal {
	return idp.Refuse(idp.RefusedRequestTooLarge, "SAMLRequest", "", strconv.Itoa(limit))
}
