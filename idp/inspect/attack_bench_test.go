package inspect_test

import (
	"strings"
	"testing"

	"vernal/idp/inspect"
)

// attackTexts returns texts of about size bytes that are expensive to search.
func attackTexts(size int) map[string]string {
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	return map[string]string{
		"names":            fill("SAMLRequest="),
		"names apart":      fill("SAMLRequest= "),
		"names and colons": fill("SAMLRequest: "),
		"values":           fill("SAMLRequest=" + strings.Repeat("A", 100) + "\n"),
		"one value":        "SAMLRequest=" + fill("QUJD"),
		"joinable values":  "a=%41 &lt; \\n\n" + fill("SAMLRequest="+strings.Repeat("A", 488)+"\n"),
		"wrapped value":    "SAMLRequest=" + fill(strings.Repeat("A", 76)+"\n"),
		"roots":            fill(`<AuthnRequest urn:oasis:names:tc:SAML `),
		"open roots":       "urn:oasis:names:tc:SAML" + fill(`<samlp:Response>`),
		"root and ends":    "urn:oasis:names:tc:SAML <Response>" + fill(`</Response x`),
		"declarations":     "urn:oasis:names:tc:SAML" + fill(`<?xml ?>`) + "<Response>",
		"doctypes":         "urn:oasis:names:tc:SAML" + fill(`<!DOCTYPE a [`) + "<Response>",
		"backslashes":      "SAMLRequest" + fill(`\\`),
		"ampersands":       "SAMLRequest" + fill(`&amp;`),
		"entities":         "SAMLRequest" + fill(`&amp;amp;amp;amp;amp;amp;lt;`),
		"percent":          "SAMLRequest" + fill(`%252525252525253D`),
		"all at once":      fill(`> =3D ^& %253D \\u0026 &amp;lt; “\u200b https://urldefense.com/v3/__a**A__;Pz8!`),
		"quotes":           "SAMLRequest\n" + fill("> \n"),
		"question marks":   fill("https://x?") + "SAMLRequest=A",
		"tree":             "urn:oasis:names:tc:SAML" + fill("- <Response>\n"),
		"base64":           fill("QUJD"),
		"lines of base64":  fill(strings.Repeat("A", 64) + "\n"),
		"runs":             "https://urldefense.com/v3/__" + fill("**-") + "__;Pz8!!SAMLRequest",
		"inputs":           fill(`<input name=SAMLRequest value=A><form>`),
		"JSON":             fill(`{"SAMLRequest":"`),
		"tables":           fill("SAMLRequest\t\t"),
		"multipart":        fill("SAMLRequest\"\nA: b\n"),
		"zeros":            fill("\x00"),
	}
}

func TestFindIsBoundedOnAttackText(t *testing.T) {
	t.Parallel()
	for name, text := range attackTexts(16 << 10) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := inspect.Find(text)
			total := 0
			for _, s := range all {
				total += len(s.Query) + len(s.XML)
			}
			if len(all) > 50 || total > 4*len(text) {
				t.Errorf("%d messages of %d bytes", len(all), total)
			}
			inspect.ClassifyText(text)
		})
	}
}

func BenchmarkFindInAttackTexts(b *testing.B) {
	for name, text := range attackTexts(1 << 20) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				inspect.Find(text)
			}
		})
	}
}
