package inspect_test

import (
	"encoding/base64"
	"html"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vernal/idp/idptest"
	"vernal/idp/inspect"
)

// layers are transformations of a text on its way to the user who inspects it.
var layers = map[string]func(string) string{
	"log line":         func(s string) string { return "2026-11-30T03:41:07Z INFO [saml] " + s + " (12 ms)" },
	"sentence":         func(s string) string { return "Hello,\n\nit fails with this:\n\n" + s + "\n\nThanks\nAda" },
	"quoted mail":      func(s string) string { return "Ada wrote:\n" + quotedMail("hello\n"+s+"\nbye", "> ") },
	"entities":         html.EscapeString,
	"JSON string":      func(s string) string { return `{"level":"info","msg":` + asJSON(s) + `}` },
	"percent":          url.PathEscape,
	"query":            url.QueryEscape,
	"mail source":      quotedPrintable,
	"quotes":           func(s string) string { return "“" + s + "”" },
	"backticks":        func(s string) string { return "```\n" + s + "\n```" },
	"zero-width space": func(s string) string { return "\u200B" + s + "\u200B" },
	"Windows lines":    func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
	"indented":         func(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") },
}

// TestFindUnwrapsEveryLayer checks that a message is found and verifies under any combination
// of layers.
func TestFindUnwrapsEveryLayer(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	s := inspector(i)
	names := slices.Sorted(maps.Keys(layers))
	rapid.Check(t, func(rt *rapid.T) {
		r := &idptest.Request{RelayState: "back here"}
		link := a.URL(r)
		encoded := a.Form(r).Get("SAMLRequest")
		doc, _ := base64.StdEncoding.DecodeString(encoded)
		form := rapid.SampledFrom([]string{"URL", "SafeLinks", "XML", "list", "page"}).Draw(rt, "form")
		text := map[string]string{
			"URL":       link,
			"SafeLinks": "https://nam02.safelinks.protection.outlook.com/?url=" + url.QueryEscape(link) + "&data=05%7C02&reserved=0",
			"XML":       string(doc),
			"list":      "SAMLRequest: " + encoded + "\nRelayState: back here",
			"page":      `<form method="post" action="` + i.URL + `/api/saml/auth` + string(i.Year()) + `"><input name="SAMLRequest" value="` + encoded + `"></form>`,
		}[form]
		mailed := false
		for range rapid.IntRange(0, 3).Draw(rt, "layers") {
			layer := rapid.SampledFrom(names).Draw(rt, "layer")
			if mailed && (layer == "mail source" || layer == "indented") {
				continue // a mail source is not part of another text
			}
			mailed = mailed || layer == "mail source"
			text = layers[layer](text)
		}
		all := inspect.Find(text)
		if len(all) == 0 {
			rt.Fatalf("nothing found in %.1500s", text)
		}
		got, err := s.Inspect(t.Context(), inspect.Message{FoundMessage: all[0], AssumedAt: i.Clock.Now()})
		if err != nil {
			rt.Fatal(err)
		}
		if got.Refused || got.Cert == nil || !strings.Contains(got.XML, r.ID) || len(all) != 1 {
			for _, s := range all {
				rt.Logf("found %s by %v %s %s", s.Place, s.Steps, s.Query, s.XML)
			}
			rt.Fatalf("%d found, the first as %s by %v: %s, refused with %v in %.1500s", len(all), got.Place, got.Steps, got.Kind, codes(got), text)
		}
	})
}
