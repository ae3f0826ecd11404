package inspect

import (
	"regexp"
	"strings"
	"unicode"

	"vernal/idp"
)

// Sighting is the kind of a text without a message.
type Sighting string

const (
	SeenNothing     Sighting = "empty"
	SeenPage        Sighting = "html_page"
	SeenArtifact    Sighting = "saml_artifact"
	SeenWSFed       Sighting = "ws_federation"
	SeenOpenID      Sighting = "openid_connect"
	SeenToken       Sighting = "json_web_token"
	SeenCertificate Sighting = "certificate"
	SeenKey         Sighting = "private_key"
	SeenCutLink     Sighting = "link_without_message"
	SeenHiddenLink  Sighting = "rewritten_link"
	SeenJSON        Sighting = "json"
	SeenBinary      Sighting = "binary"
	SeenName        Sighting = "name_without_value"
	SeenText        Sighting = "text"
)

// sightings are tried in order, the most specific one first.
var sightings = []struct {
	seen Sighting
	re   *regexp.Regexp
}{
	{SeenKey, regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)},
	{SeenCertificate, regexp.MustCompile(`-----BEGIN (?:TRUSTED )?CERTIFICATE-----`)},
	{SeenArtifact, regexp.MustCompile(`\bSAMLart\b`)},
	{SeenWSFed, regexp.MustCompile(`\bwa=wsignin1\.0\b|\bwresult\b`)},
	{SeenOpenID, regexp.MustCompile(`\bresponse_type=|\bid_token\b|\bcode_challenge=`)},
	{SeenToken, regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.`)},
	{SeenName, regexp.MustCompile(`\bSAMLRe(?:quest|sponse)\b`)},
	{SeenHiddenLink, regexp.MustCompile(`mimecastprotect\.com/s/|://aka\.ms/|://(?:bit\.ly|t\.co|tinyurl\.com)/|linkprotect\.cudasvc\.com/|clicktime\.symantec\.com/|protect2\.fireeye\.com/`)},
	{SeenCutLink, regexp.MustCompile(`/api/saml/(?:auth|logout|remotelogout)[0-9]{4}`)},
}

// See classifies a text in which Find finds nothing.
func See(text string) Sighting {
	text, _ = decodeText(text)
	const looked = 1 << 20 // only this many bytes are searched
	text = text[:min(len(text), looked)]
	if text == "" {
		return SeenNothing
	}
	for _, s := range sightings {
		if s.re.MatchString(text) {
			return s.seen
		}
	}
	switch {
	case isPage(text):
		return SeenPage
	case text[0] == '{' || text[0] == '[':
		return SeenJSON
	case isBinary(text):
		return SeenBinary
	}
	return SeenText
}

func isPage(text string) bool {
	start := strings.ToLower(text[:min(len(text), 1024)])
	return strings.Contains(start, "<!doctype html") || strings.Contains(start, "<html")
}

func isBinary(text string) bool {
	const looked = 512
	odd := 0
	for i, r := range text {
		if i >= looked {
			break
		}
		if r == unicode.ReplacementChar || unicode.IsControl(r) && !unicode.IsSpace(r) {
			odd++
		}
	}
	return odd*10 > min(len(text), looked)
}

// Advice explains the kind of text to users, and how to find the text to paste instead.
func (s Sighting) Advice() string {
	if text := advices[s]; text != "" {
		return text
	}
	return advices[SeenText]
}

// Suggestion returns the command to use instead, if one exists.
func (s Sighting) Suggestion() (next idp.Suggestion, ok bool) {
	switch s {
	case SeenCertificate:
		return idp.Suggest(idp.DoSPEdit, "").WithOption(idp.OptionCert, "").WithLabel(idp.LabelRegister), true
	case SeenKey:
		return idp.Suggest(idp.DoInspect).WithOption(idp.OptionKey, "").WithLabel(idp.LabelOpenAssertion), true
	}
	return idp.Suggestion{}, false
}

const paste = "paste the URL from the browser's address bar, the log line, the page's source or the XML"

var advices = map[Sighting]string{
	SeenNothing:     "the text is empty: " + paste,
	SeenPage:        "it is an HTML page without a form that has SAMLRequest or SAMLResponse: paste the source of the page that posts the form, or record a HAR file while you sign in",
	SeenArtifact:    "it is an artifact (SAMLart), which holds no message and which Vernal does not take: set the service provider to HTTP-POST or HTTP-Redirect",
	SeenWSFed:       "it is a message of WS-Federation, which Vernal does not speak: set the application to SAML 2.0",
	SeenOpenID:      "it is a request of OpenID Connect or OAuth, which is no SAML message: set the application to SAML 2.0",
	SeenToken:       "it is a JSON Web Token, which is no SAML message: set the application to SAML 2.0",
	SeenCertificate: "it is a certificate, and no message",
	SeenKey:         "it is a private key, which belongs into no message: paste the message here, and give the key as a file",
	SeenCutLink:     "it is a URL of this identity provider without a message: paste it with its query, from ? on, or record a HAR file while you sign in",
	SeenHiddenLink:  "it is a link that a mail filter replaced, which says nothing about the message: open it and copy the URL from the browser's address bar",
	SeenJSON:        "it is JSON without a message: record the HAR file while you sign in, from the first page on",
	SeenBinary:      "it is no text: decompress or export it first, then " + paste,
	SeenName:        "it names SAMLRequest or SAMLResponse, and has no value after it: paste the whole value, which is some hundred characters long",
	SeenText:        "it is text without a message: " + paste,
}
