package inspect_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"html"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/inspect"
)

// Several messages in one text are found once each, in order of appearance. Another form of
// the same message is not a second one.
func TestFindReadsEachMessageOnce(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	first, second := &idptest.Request{RelayState: "x"}, &idptest.Request{RelayState: "y"}
	one, two := a.URL(first), a.URL(second)
	decoded := func(r *idptest.Request) string {
		doc, _ := base64.StdEncoding.DecodeString(a.Form(r).Get("SAMLRequest"))
		return string(doc)
	}
	// The XML of the first query.
	_, query, _ := strings.Cut(one, "?")
	values, _ := url.ParseQuery(query)
	data, _ := base64.StdEncoding.DecodeString(values.Get("SAMLRequest"))
	plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, text string
		want       []string // IDs
	}{
		{"two lines of a log", "GET " + one + " 303\nGET " + two + " 303\n", []string{first.ID, second.ID}},
		{"the same line twice", "GET " + one + " 303\nGET " + one + " 400\n", []string{first.ID}},
		{"a message and its XML", "DEBUG " + string(plain) + "\nGET " + one + " 303", []string{first.ID}},
		{"a message as it was sent and as it arrived in a list", "GET " + one + "\nSAMLRequest: " + values.Get("SAMLRequest") + "\nRelayState: x", []string{first.ID}},
		{"a request and a quoted one", "GET " + one + "\n> it was\n> " + html.EscapeString(decoded(second)), []string{first.ID, second.ID}},
		{"two XML documents", decoded(first) + "\n" + decoded(second), []string{first.ID, second.ID}},
		{"one XML document in another", "<wrapper>" + decoded(first) + "</wrapper>", []string{first.ID}},
		{"one that was cut off and a whole one", decoded(first)[:300] + "\n" + decoded(second), []string{second.ID, ""}},
		{"a URL that was cut off and a whole one", "GET " + one[:120] + "… 303\nGET " + two + " 303", []string{second.ID, ""}},
		{"a URL that was cut off within an escape", "GET " + one[:200+strings.Index(one[200:], "%2")+2] + "… 303\nGET " + two + " 303", []string{second.ID, ""}},
		{"words after the name", "SAMLRequest: missing\nSAMLRequest = see below\n" + one, []string{first.ID}},
		{"developer tools of two requests", "SAMLRequest: " + a.Form(first).Get("SAMLRequest") + "\nRelayState: x\nSAMLRequest: " + a.Form(second).Get("SAMLRequest") + "\nRelayState: y", []string{first.ID, second.ID}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, s := range inspect.Find(tt.text) {
				r := inspectMessage(t, inspector(i), inspect.Message{FoundMessage: s, AssumedAt: i.Clock.Now()})
				at := slices.IndexFunc([]string{first.ID, second.ID}, func(id string) bool { return strings.Contains(r.XML, id) })
				if at < 0 {
					got = append(got, "")
					continue
				}
				got = append(got, []string{first.ID, second.ID}[at])
				if r.Refused {
					t.Errorf("refused with %v: %+v", codes(r), s)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// The marks of a browser's view are removed from XML. Its signature covered other white space,
// so nothing is claimed about it.
func TestFindReadsBrowserViewOfXML(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	r := &idptest.Request{}
	doc, _ := base64.StdEncoding.DecodeString(a.Form(r).Get("SAMLRequest"))
	xml := string(doc)
	const sentence = "This XML file does not appear to have any style information associated with it. The document tree is shown below.\n"
	for name, text := range map[string]string{
		"Internet Explorer": "- " + strings.ReplaceAll(xml, "><", ">\n- <"),
		"Firefox":           sentence + "-" + strings.ReplaceAll(xml, "><", ">\n  -<"),
		"Chrome":            sentence + "▼" + strings.ReplaceAll(xml, "><", ">\n▼ <"),
		"folded":            "+ " + strings.ReplaceAll(xml, "><", ">\n\u00a0+ <"),
		"in a ticket":       html.EscapeString("- " + strings.ReplaceAll(xml, "><", ">\n- <")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := inspectText(t, inspector(i), text, i.Clock.Now())
			if !strings.Contains(got.XML, r.ID) || !slices.Contains(got.Steps, inspect.StepTree) || got.Refused || !got.Unknown {
				t.Errorf("%s by %v, refused with %v, unknown %v\n%s", got.Kind, got.Steps, codes(got), got.Unknown, got.XML)
			}
			if c := check(got, "Signature"); c.Outcome != inspect.OutcomeSkipped {
				t.Errorf("%+v", c)
			}
		})
	}
}

// A value that the server does not decode is refused as in the server, and read nevertheless.
// A value that was pasted alone may have changed by copying.
func TestUndecodableValueIsRefusedAndRead(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	r := &idptest.Request{}
	encoded := a.Form(r).Get("SAMLRequest")
	doc, _ := base64.StdEncoding.DecodeString(encoded)
	packed := func(open func(io.Writer) io.WriteCloser) string {
		var b bytes.Buffer
		w := open(&b)
		_, _ = w.Write(doc)
		_ = w.Close()
		return base64.StdEncoding.EncodeToString(b.Bytes())
	}
	endpoint := i.URL + "/api/saml/auth" + string(i.Year())
	esc := url.QueryEscape
	tests := []struct {
		name, value string
		code        idp.RefusalCode
		// lone: the value is also found without a name.
		lone bool
	}{
		{"URL-safe", base64.URLEncoding.EncodeToString(append(doc, "   "...)), "", true},
		{"percent-encoded twice", esc(esc(encoded)), idp.RefusedBase64, true},
		{"XML", esc(string(doc)), idp.RefusedBase64, true},
		{"zlib", esc(packed(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })), idp.RefusedDeflate, true},
		{"gzip", esc(packed(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })), idp.RefusedDeflate, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sent := inspectText(t, inspector(i), endpoint+"?SAMLRequest="+tt.value, i.Clock.Now())
			if !strings.Contains(sent.XML, r.ID) {
				t.Errorf("sent: not read: %+v", sent.Checks)
			}
			if tt.code != "" && !slices.Equal(codes(sent), []idp.RefusalCode{tt.code}) {
				t.Errorf("sent: refused with %v, want %s", codes(sent), tt.code)
			}
			alone := inspectText(t, inspector(i), "the value is\n"+tt.value, i.Clock.Now())
			if !strings.Contains(alone.XML, r.ID) || alone.Refused {
				t.Errorf("alone: refused with %v, %+v", codes(alone), alone.Checks)
			}
		})
	}
}

// A text without a message is classified.
func TestTextWithoutMessageIsClassified(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want inspect.Sighting
	}{
		"empty":       {" \n", inspect.SeenNothing},
		"words":       {"hello there", inspect.SeenText},
		"a page":      {"<!DOCTYPE html><html><body>Sign in</body></html>", inspect.SeenPage},
		"an artifact": {"https://a.example/acs?SAMLart=AAQAAMh48%2F1oXIM%2BsDo7Dh2qMp1HM4IF5DaRNmDj6RdUmllwn9jJHyEgIi8%3D", inspect.SeenArtifact},
		"WS-Fed":      {"https://login.example/?wa=wsignin1.0&wtrealm=urn:a", inspect.SeenWSFed},
		"OpenID":      {"https://login.example/authorize?response_type=code&client_id=a", inspect.SeenOpenID},
		"a token":     {"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", inspect.SeenToken},
		"certificate": {"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", inspect.SeenCertificate},
		"a key":       {"-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----", inspect.SeenKey},
		"our URL":     {"https://login.example/api/saml/auth2026", inspect.SeenCutLink},
		"a short URL": {"https://url.us.m.mimecastprotect.com/s/abcDEF?domain=login.example", inspect.SeenHiddenLink},
		"JSON":        {`{"log":{"entries":[]}}`, inspect.SeenJSON},
		"a picture":   {"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x01\x00", inspect.SeenBinary},
		"a name":      {"the SAMLRequest parameter is wrong", inspect.SeenName},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if all := inspect.Find(tt.text); len(all) > 0 {
				t.Errorf("found %+v", all)
			}
			if got := inspect.See(tt.text); got != tt.want || got.Advice() == "" {
				t.Errorf("seen as %s, want %s", got, tt.want)
			}
			_, ok := inspect.See(tt.text).Suggestion()
			if want := tt.want == inspect.SeenCertificate || tt.want == inspect.SeenKey; ok != want {
				t.Errorf("suggests something: %v, want %v", ok, want)
			}
		})
	}
}
