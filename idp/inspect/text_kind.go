package inspect

import (
	"regexp"
	"strings"
	"unicode"

	"vernal/idp"
)

// TextKind is the kind of a text without a message.
type TextKind string

const (
	TextEmpty              TextKind = "empty"
	TextHTMLPage           TextKind = "html_page"
	TextArtifact           TextKind = "saml_artifact"
	TextWSFederation       TextKind = "ws_federation"
	TextOpenID             TextKind = "openid_connect"
	TextWebToken           TextKind = "json_web_token"
	TextCertificate        TextKind = "certificate"
	TextPrivateKey         TextKind = "private_key"
	TextLinkWithoutMessage TextKind = "link_without_message"
	TextRewrittenLink      TextKind = "rewritten_link"
	TextJSON               TextKind = "json"
	TextBinary             TextKind = "binary"
	TextNameWithoutValue   TextKind = "name_without_value"
	TextOther              TextKind = "text"
)

// textKinds are tried in order, the most specific one first.
var textKinds = []struct {
	kind TextKind
	re   *regexp.Regexp
}{
	{TextPrivateKey, regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)},
	{TextCertificate, regexp.MustCompile(`-----BEGIN (?:TRUSTED )?CERTIFICATE-----`)},
	{TextArtifact, regexp.MustCompile(`\bSAMLart\b`)},
	{TextWSFederation, regexp.MustCompile(`\bwa=wsignin1\.0\b|\bwresult\b`)},
	{TextOpenID, regexp.MustCompile(`\bresponse_type=|\bid_token\b|\bcode_challenge=`)},
	{TextWebToken, regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.`)},
	{TextNameWithoutValue, regexp.MustCompile(`\bSAMLRe(?:quest|sponse)\b`)},
	{TextRewrittenLink, regexp.MustCompile(`mimecastprotect\.com/s/|://aka\.ms/|://(?:bit\.ly|t\.co|tinyurl\.com)/|linkprotect\.cudasvc\.com/|clicktime\.symantec\.com/|protect2\.fireeye\.com/`)},
	{TextLinkWithoutMessage, regexp.MustCompile(`/api/saml/(?:auth|logout|remotelogout)[0-9]{4}`)},
}

// ClassifyText classifies a text in which Find finds no message.
func ClassifyText(text string) TextKind {
	text, _ = decodeText(text)
	const maxSearched = 1 << 20 // in bytes
	text = text[:min(len(text), maxSearched)]
	if text == "" {
		return TextEmpty
	}
	for _, s := range textKinds {
		if s.re.MatchString(text) {
			return s.kind
		}
	}
	switch {
	case isPage(text):
		return TextHTMLPage
	case text[0] == '{' || text[0] == '[':
		return TextJSON
	case isBinary(text):
		return TextBinary
	}
	return TextOther
}

func isPage(text string) bool {
	start := strings.ToLower(text[:min(len(text), 1024)])
	return strings.Contains(start, "<!doctype html") || strings.Contains(start, "<html")
}

func isBinary(text string) bool {
	const maxSearched = 512
	controls := 0
	for i, r := range text {
		if i >= maxSearched {
			break
		}
		if r == unicode.ReplacementChar || unicode.IsControl(r) && !unicode.IsSpace(r) {
			controls++
		}
	}
	return controls*10 > min(len(text), maxSearched)
}

// Advice explains the kind of text to users, and how to find the text to paste instead.
func (s TextKind) Advice() string {
	if text := advices[s]; text != "" {
		return text
	}
	return advices[TextOther]
}

// Suggestion returns the command to use instead, if one exists.
func (s TextKind) Suggestion() (next idp.Suggestion, ok bool) {
	switch s {
	case TextCertificate:
		return idp.Suggest(idp.DoSPEdit, "").WithOption(idp.OptionCert, "").WithLabel(idp.LabelRegister), true
	case TextPrivateKey:
		return idp.Suggest(idp.DoInspect).WithOption(idp.OptionKey, "").WithLabel(idp.LabelOpenAssertion), true
	}
	return idp.Suggestion{}, false
}

const paste = "paste the URL from the browser's address bar, the log line, the source of the page or the XML"

var advices = map[TextKind]string{
	TextEmpty:              "the text is empty: " + paste,
	TextHTMLPage:           "it is an HTML page without a form that has SAMLRequest or SAMLResponse: paste the source of the page that posts the form, or record a HAR file while you sign in",
	TextArtifact:           "it is an artifact (SAMLart), which contains no message and which Vernal does not accept: set the service provider to HTTP-POST or HTTP-Redirect",
	TextWSFederation:       "it is a message of WS-Federation, which Vernal does not support: set the application to SAML 2.0",
	TextOpenID:             "it is a request of OpenID Connect or OAuth, which is not a SAML message: set the application to SAML 2.0",
	TextWebToken:           "it is a JSON Web Token, which is not a SAML message: set the application to SAML 2.0",
	TextCertificate:        "it is a certificate, not a message: register it for the service provider, or paste a message",
	TextPrivateKey:         "it is a private key: keep it secret, paste the message here, and pass the key as a file",
	TextLinkWithoutMessage: "it is a URL of this identity provider without a message: paste it with its query, which begins at the question mark, or record a HAR file while you sign in",
	TextRewrittenLink:      "it is a link that a mail filter replaced, which does not contain the message: open it and copy the URL from the browser's address bar",
	TextJSON:               "it is JSON without a message: record the HAR file while you sign in, beginning with the first page",
	TextBinary:             "it is not text: decompress or export it first, then " + paste,
	TextNameWithoutValue:   "it names SAMLRequest or SAMLResponse without a value: paste the whole value, which has several hundred characters",
	TextOther:              "it is text without a message: " + paste,
}
