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
	// endpoint and year are parsed from that URL. Both are "" if it is not one of ours.
	endpoint string
	year     idp.Year
	isSOAP     bool
	// isReformatted reports that white space between the elements was changed.
	isReformatted bool
	// isRebuilt reports that the query was built from decoded parameters.
	isRebuilt bool
	// isResponse reports that it came as SAMLResponse, which no endpoint of ours accepts.
	isResponse bool
	// hasNoSignature reports that the signature of the query was refused already and is not among
	// the parameters that are read afterwards.
	hasNoSignature bool
}

var yearEndpoint = regexp.MustCompile(`/api/saml/(auth|logout|remotelogout)([0-9]{4}[a-z]?)$`)

// readMessage decodes a message as the server does. If the server refuses another parameter,
// it records that and reads the message without the parameter.
func (r *Report) readMessage(s FoundMessage) (*saml.Message, input, error) {
	in := input{url: s.URL, isRebuilt: s.Rebuilt, isReformatted: slices.Contains(s.Steps, StepTree)}
	if m := yearEndpoint.FindStringSubmatch(s.URL); m != nil {
		in.endpoint, in.year = m[1], idp.Year(m[2])
	}
	if s.XML != "" {
		if root, err := xmltree.Parse([]byte(s.XML), xmltree.MessageLimits()); err == nil && root.Local == "Envelope" {
			in.isSOAP = true
			if in.endpoint == "" {
				in.endpoint = "remotelogout" // the endpoint that accepts SOAP
			}
			msg, err := saml.ReadSOAP([]byte(s.XML))
			return msg, in, err
		}
		s.Query, s.Post = encodeForm(s.XML), true
	}
	in.isResponse = findParameter(s.Query+"&"+s.URLQuery, "SAMLResponse") != ""
	if in.isResponse && in.endpoint != "" {
		code := idp.Refuse(idp.RefusedMessageType, "SAMLResponse", "SAMLResponse", "SAMLRequest")
		if findParameter(s.Query+"&"+s.URLQuery, "SAMLRequest") != "" {
			code = idp.Refuse(idp.RefusedParameterConflict, "SAMLResponse", "SAMLRequest, SAMLResponse")
		}
		_ = r.noteRefused("", code)
	}
	query := renameResponse(s.Query)
	inURL := s.URLQuery
	if in.isResponse {
		inURL = renameResponse(inURL)
	}
	msg, err := readForm(query, inURL)
	// Only a signature in the query distinguishes a redirect from a form, which may be longer.
	if !s.Post && (s.URL != "" || signatureParameter.MatchString(query)) {
		msg, err = saml.Read(saml.HTTPRequest{Method: "GET", RawQuery: query})
	}
	var why *idp.Refusal
	if !errors.As(err, &why) {
		return msg, in, err
	}
	if !isAboutParameters(why) {
		return r.readLeniently(s, query, in, why)
	}
	_ = r.noteRefused("", why)
	r.addHint(explainParameter(why, s.Post)...)
	in.hasNoSignature = true
	if findMessage(query) == "" {
		query = s.URLQuery
	}
	msg, err = readForm("SAMLRequest="+findParameter(query, "SAMLRequest"), "")
	return msg, in, err
}

// readForm decodes the message of a posted form as the server does.
func readForm(body, query string) (*saml.Message, error) {
	return saml.Read(saml.HTTPRequest{Method: "POST", ContentType: "application/x-www-form-urlencoded", Body: []byte(body), RawQuery: query})
}

// readLeniently reads a message that the server does not decode, to report on its content. If
// it was sent to us in this form, it is refused. A value that was pasted alone may have
// changed by copying.
func (r *Report) readLeniently(s FoundMessage, query string, in input, why *idp.Refusal) (*saml.Message, input, error) {
	doc, how := decodeLeniently(findParameter(query, "SAMLRequest"))
	if doc == "" || how == "" {
		return nil, in, why
	}
	msg, err := readForm(encodeForm(doc), "")
	if err != nil {
		return nil, in, why
	}
	if s.URL == "" && !signatureParameter.MatchString(query) {
		r.noteWarning(why, "refused, if it was sent like that")
	} else {
		_ = r.noteRefused("", why)
		in.hasNoSignature = signatureParameter.MatchString(query)
	}
	r.addHint(encodingHints[how])
	return msg, in, nil
}

// encodingHints describes encodings that the server does not decode.
var encodingHints = map[string]string{
	encodingBase64URL:     "it is base64 in the URL-safe alphabet, with - and _: use + and /, then percent-encode",
	encodingTwice:   "it is percent-encoded twice: encode once, and look for a library that encodes again",
	encodingPlain:   "it is XML that is not base64: encode it, after DEFLATE for HTTP-Redirect",
	encodingZlib:    "it is DEFLATE with a zlib header: leave the header out (wbits -15)",
	encodingGzip:    "it is gzip: use DEFLATE without a header (wbits -15)",
	encodingPadding: "it is base64 with a wrong end, for example misplaced padding: send the output of the encoder unchanged",
}

var signatureParameter = regexp.MustCompile(`(?:^|&)(?:SigAlg|Signature)=`)

// isAboutParameters reports whether a refusal is about a parameter beside the message.
func isAboutParameters(why *idp.Refusal) bool {
	switch why.Code {
	case idp.RefusedSignatureParams, idp.RefusedSignatureBase64, idp.RefusedRelayState:
		return true
	case idp.RefusedParameterInvalid, idp.RefusedParameterTwice:
		return why.Field == "RelayState" || why.Field == "SigAlg" || why.Field == "Signature" || why.Field == "SAMLEncoding"
	}
	return false
}

// explainParameter returns hints about a refused signature of the query.
func explainParameter(why *idp.Refusal, post bool) []string {
	switch {
	case why.Code != idp.RefusedSignatureParams:
		return nil
	case post:
		return []string{"the signature of HTTP-Redirect (SigAlg and Signature) does not count in a form: sign the XML"}
	case why.Field == "SigAlg":
		return []string{"the Signature comes without SigAlg, so its algorithm is unknown: send SigAlg, which is part of the signed text"}
	}
	return []string{"SigAlg comes without Signature, which was left out, is empty, or was cut off with the end of the URL: send the whole URL"}
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

// decodeParameter returns a parameter's decoded value. A plus sign in base64 stays one.
func decodeParameter(query, name string) (string, bool) {
	raw := findParameter(query, name)
	if name != "RelayState" {
		raw = strings.ReplaceAll(raw, "+", "%2B")
	}
	plain, err := url.QueryUnescape(raw)
	return plain, err == nil && raw != ""
}

// formatXML returns the message for reading, with each element on its own line.
func formatXML(root *xmltree.Element) string {
	w := xmltree.NewWriter(nil)
	writeElement(w, root, "\n")
	doc, err := w.Finish()
	if err != nil {
		return ""
	}
	return string(doc)
}

func writeElement(w *xmltree.Writer, e *xmltree.Element, line string) {
	w.Start(e.Prefix, e.Space, e.Local, e.Attrs...)
	inner := false
	for _, n := range e.Nodes {
		switch {
		case n.Element != nil:
			inner = true
			w.Text(line + "  ")
			writeElement(w, n.Element, line+"  ")
		case strings.TrimSpace(n.Text) != "":
			w.Text(n.Text)
		}
	}
	if inner {
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
