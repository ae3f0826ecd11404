package inspect

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// input is the context of a message.
type input struct {
	url string // URL that it was sent to, without the query; "" if unknown
	// endpoint and year are parsed from url. Both are "" if url is not one of ours.
	endpoint string
	year     idp.Year
	isSOAP   bool
	// isReformatted reports that white space between the elements was changed.
	isReformatted bool
	// isRebuilt reports that the query was built from decoded parameters.
	isRebuilt bool
	// isResponse reports that the parameter is SAMLResponse, which no endpoint of ours accepts.
	isResponse bool
	// hasNoSignature reports that the signature of the query was already refused, so the message
	// was read without it.
	hasNoSignature bool
}

var yearEndpoint = regexp.MustCompile(`/api/saml/(auth|logout|remotelogout)([0-9]{4}[a-z]?)$`)

// readMessage decodes a message as the server does. If the server refuses a parameter other than
// the message, readMessage records the refusal and reads the message without that parameter.
func (r *Report) readMessage(s FoundMessage) (*saml.Message, input, error) {
	source := input{url: s.URL, isRebuilt: s.Rebuilt, isReformatted: slices.Contains(s.Steps, StepTree)}
	if m := yearEndpoint.FindStringSubmatch(s.URL); m != nil {
		source.endpoint, source.year = m[1], idp.Year(m[2])
	}
	if s.XML != "" {
		if root, err := xmltree.Parse([]byte(s.XML), xmltree.MessageLimits()); err == nil && root.Local == "Envelope" {
			source.isSOAP = true
			if source.endpoint == "" {
				source.endpoint = "remotelogout" // the endpoint that accepts SOAP
			}
			msg, err := saml.ReadSOAP([]byte(s.XML))
			return msg, source, err
		}
		s.Query, s.Post = encodeForm(s.XML), true
	}
	source.isResponse = findParameter(s.Query+"&"+s.URLQuery, "SAMLResponse") != ""
	if source.isResponse && source.endpoint != "" {
		code := idp.Refuse(idp.RefusedMessageType, "SAMLResponse", "SAMLResponse", "SAMLRequest")
		if findParameter(s.Query+"&"+s.URLQuery, "SAMLRequest") != "" {
			code = idp.Refuse(idp.RefusedParameterConflict, "SAMLResponse", "SAMLRequest, SAMLResponse")
		}
		_ = r.noteRefused("", code)
	}
	query := renameResponse(s.Query)
	urlQuery := s.URLQuery
	if source.isResponse {
		urlQuery = renameResponse(urlQuery)
	}
	msg, err := readForm(query, urlQuery)
	// Without a URL, only a signature in the query proves a redirect, whose size limit is smaller.
	if !s.Post && (s.URL != "" || signatureParameter.MatchString(query)) {
		msg, err = saml.Read(saml.HTTPRequest{Method: "GET", RawQuery: query})
	}
	var refusal *idp.Refusal
	if !errors.As(err, &refusal) {
		return msg, source, err
	}
	if !isAboutParameters(refusal) {
		return r.readLeniently(s, query, source, refusal)
	}
	_ = r.noteRefused("", refusal)
	r.addHint(explainParameter(refusal, s.Post)...)
	source.hasNoSignature = true
	if findMessage(query) == "" {
		query = s.URLQuery
	}
	msg, err = readForm("SAMLRequest="+findParameter(query, "SAMLRequest"), "")
	return msg, source, err
}

// readForm decodes the message of a posted form as the server does.
func readForm(body, query string) (*saml.Message, error) {
	return saml.Read(saml.HTTPRequest{Method: "POST", ContentType: "application/x-www-form-urlencoded", Body: []byte(body), RawQuery: query})
}

// readLeniently reads a message that the server does not decode, to report on its content. It
// records a refusal if the message was sent to us in this form, and only a warning for a value that
// was pasted alone, because copying may have changed it.
func (r *Report) readLeniently(s FoundMessage, query string, source input, refusal *idp.Refusal) (*saml.Message, input, error) {
	xml, encoding := decodeLeniently(findParameter(query, "SAMLRequest"))
	if xml == "" || encoding == "" {
		return nil, source, refusal
	}
	msg, err := readForm(encodeForm(xml), "")
	if err != nil {
		return nil, source, refusal
	}
	if s.URL == "" && !signatureParameter.MatchString(query) {
		r.noteWarning(refusal, "the server refuses it if it was sent in this form")
	} else {
		_ = r.noteRefused("", refusal)
		source.hasNoSignature = signatureParameter.MatchString(query)
	}
	r.addHint(encodingHints[encoding])
	return msg, source, nil
}

// encodingHints describes encodings that the server does not decode.
var encodingHints = map[string]string{
	encodingBase64URL: "it is base64 in the URL-safe alphabet, with - and _: use + and /, then percent-encode",
	encodingTwice:     "it is percent-encoded twice: encode once, and look for a library that encodes again",
	encodingPlain:     "it is XML that is not base64: encode it, after DEFLATE for HTTP-Redirect",
	encodingZlib:      "it is DEFLATE with a zlib header: omit the header (wbits -15)",
	encodingGzip:      "it is gzip: use DEFLATE without a header (wbits -15)",
	encodingPadding:   "it is base64 with a malformed end, for example misplaced padding: send the output of the encoder unchanged",
}

var signatureParameter = regexp.MustCompile(`(?:^|&)(?:SigAlg|Signature)=`)

// isAboutParameters reports whether a refusal is about a parameter other than the message.
func isAboutParameters(refusal *idp.Refusal) bool {
	switch refusal.Code {
	case idp.RefusedSignatureParams, idp.RefusedSignatureBase64, idp.RefusedRelayState:
		return true
	case idp.RefusedParameterInvalid, idp.RefusedParameterTwice:
		return refusal.Field == "RelayState" || refusal.Field == "SigAlg" || refusal.Field == "Signature" || refusal.Field == "SAMLEncoding"
	}
	return false
}

// explainParameter returns hints about a refused signature of the query.
func explainParameter(refusal *idp.Refusal, isPost bool) []string {
	switch {
	case refusal.Code != idp.RefusedSignatureParams:
		return nil
	case isPost:
		return []string{"a form ignores the signature of HTTP-Redirect (SigAlg and Signature): sign the XML"}
	case refusal.Field == "SigAlg":
		return []string{"Signature is present but SigAlg is missing: send SigAlg, which is part of the signed text"}
	}
	return []string{"SigAlg is present but Signature is missing, empty or cut off: send the whole URL"}
}

// findParameter returns the raw value of a parameter in the query.
func findParameter(query, name string) string {
	for pair := range strings.SplitSeq(query, "&") {
		if n, v, _ := strings.Cut(pair, "="); n == name {
			return v
		}
	}
	return ""
}

// decodeParameter returns the decoded value of a parameter. It keeps plus signs in base64.
func decodeParameter(query, name string) (string, bool) {
	raw := findParameter(query, name)
	if name != "RelayState" {
		raw = strings.ReplaceAll(raw, "+", "%2B")
	}
	decoded, err := url.QueryUnescape(raw)
	return decoded, err == nil && raw != ""
}

// formatXML returns the message for reading, with each element on its own line.
func formatXML(root *xmltree.Element) string {
	w := xmltree.NewWriter(nil)
	writeElement(w, root, "\n")
	xml, err := w.Finish()
	if err != nil {
		return ""
	}
	return string(xml)
}

func writeElement(w *xmltree.Writer, e *xmltree.Element, line string) {
	w.Start(e.Prefix, e.Space, e.Local, e.Attrs...)
	hasChild := false
	for _, n := range e.Nodes {
		switch {
		case n.Element != nil:
			hasChild = true
			w.Text(line + "  ")
			writeElement(w, n.Element, line+"  ")
		case strings.TrimSpace(n.Text) != "":
			w.Text(n.Text)
		}
	}
	if hasChild {
		w.Text(line)
	}
	w.End()
}

// renameResponse renames a SAMLResponse, which the server never accepts, so that the code for
// requests can read it.
func renameResponse(query string) string {
	if strings.Contains(query, "SAMLRequest=") {
		return query
	}
	return strings.Replace(query, "SAMLResponse=", "SAMLRequest=", 1)
}
