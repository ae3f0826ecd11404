package inspect_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/inspect"
	"vernal/metadata"
)

func TestFindKeepsOrder(t *testing.T) {
	t.Parallel()
	text := `{"z":"SAMLRequest=one","a":{"y":["SAMLRequest=two"],"b":"https://a.example/?SAMLRequest=three"},
"m":{"SAMLRequest":"four","RelayState":"100%","SigAlg":"alg","Signature":"s+s","password":"hunter2"},"c":"SAMLResponse=five"}`
	want := []inspect.FoundMessage{
		{Query: "SAMLRequest=one"}, {Query: "SAMLRequest=two"}, {Query: "SAMLRequest=three", URL: "https://a.example/"},
		{Query: "SAMLRequest=four&RelayState=100%25&SigAlg=alg&Signature=s%2Bs"}, {Query: "SAMLResponse=five"},
	}
	for range 5 {
		if diff := cmp.Diff(want, inspect.Find(text), cmpopts.IgnoreFields(inspect.FoundMessage{}, "Place", "Rebuilt")); diff != "" {
			t.Fatal(diff)
		}
	}
}

// A message that is made to be large is refused, as the server refuses it, and the report is
// no larger than the message.
func TestLargeMessageIsRefusedInBounds(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	refs := make([]string, 32)
	for n := range refs {
		refs[n] = "urn:acr.login.gov:verifie"
	}
	stranger := *a
	stranger.EntityID = "https://a.example/" + strings.Repeat("a", 1000)
	tests := []struct {
		name string
		text string
		want idp.RefusalCode
	}{
		{"deflate bomb", "SAMLRequest=" + url.QueryEscape(bomb(t)), idp.RefusedRequestTooLarge},
		{"long entity ID", formOf(stranger, &idptest.Request{}), idp.RefusedSPUnknown},
		{"many values", formOf(*a, &idptest.Request{ClassRefs: refs}), idp.RefusedAuthnContext},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := inspectText(t, inspector(i), tt.text, i.Clock.Now())
			if got := codes(r); !slices.Contains(got, tt.want) {
				t.Errorf("refused with %v, want %s", got, tt.want)
			}
			for _, c := range r.Checks {
				if n := len(strings.Join(c.Hints, "")); n > 10_000 {
					t.Errorf("%s: hints of %d bytes", c.Field, n)
				}
			}
		})
	}
}

func formOf(p idptest.Provider, r *idptest.Request) string { return p.Form(r).Encode() }

// bomb returns ten MiB of blanks, compressed as in a redirect.
func bomb(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	blanks := make([]byte, 1<<20)
	for n := range blanks {
		blanks[n] = ' '
	}
	for range 10 {
		if _, err := w.Write(blanks); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func FuzzFind(f *testing.F) {
	f.Add("<samlp:AuthnRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\"/>")
	f.Add("https://x/api/saml/auth2027?SAMLRequest=%3C&SAMLResponse=a#b")
	f.Add("SAMLResponse=PGEvPg==")
	f.Add(`<form method=post action="https://x/acs?a"><input name=SAMLResponse value="PGEvPg&#61;"><textarea name=RelayState></form>`)
	f.Add(`{"log":{"entries":[{"request":{"url":"u","postData":{"params":[{"name":"SAMLRequest","value":"%"}],"text":""}}}]}}`)
	f.Add(`[{"":{"SAMLRequest":"PGEvPg","SigAlg":1}},"<a href='?SAMLRequest=a&amp;b'>"]`)
	f.Add("SAMLRequest: PGEvPg==\r\n\"RelayState\": \"a\",")
	f.Add("curl 'https://x/?SAMLRequest=a' -d \"SAMLResponse=b\"")
	f.Add("> - <samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\">\n> - </samlp:Response>")
	f.Add("&amp;lt;AuthnRequest xmlns=\\u0022urn:oasis:names:tc:SAML:2.0:protocol\\u0022/&amp;gt;")
	f.Add("https://urldefense.com/v3/__https://x/?SAMLRequest*AAAA**A__;PSY9!!x https://urldefense.com/v2/url?u=https-3A__x_-3FSAMLRequest-3DAAAA&d=")
	f.Add("https://x/?url=https%3A%2F%2Fx%2Fapi%2Fsaml%2Fauth2027%3FSAMLRequest%3DPGEvPg%253D%253D&data=1")
	f.Add("SAMLRequest=3DPGEv=\r\nPg=3D=3D ^& SAMLRequest\t\tPGEvPg==\n\"name\": \"SAMLRequest\", \"value\": \"PGEvPg==\"")
	f.Add("\xff\xfe<\x00a\x00/\x00>\x00")
	s := &inspect.Service{IdP: metadata.IdP{BaseURL: "https://x"}}
	f.Fuzz(func(t *testing.T, text string) {
		all := inspect.Find(text)
		if len(all) > 50 {
			t.Errorf("%d messages", len(all))
		}
		if diff := cmp.Diff(all, inspect.Find(text)); diff != "" {
			t.Errorf("another time:\n%s", diff)
		}
		for _, one := range all {
			if n := len(one.Query) + len(one.XML) + len(one.URL); n > 50+3*len(text) {
				t.Errorf("%d bytes of %d", n, len(text))
			}
			if _, err := s.Inspect(t.Context(), inspect.Message{FoundMessage: one, AssumedAt: time.Unix(1_800_000_000, 0)}); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

// A URL from external metadata is an unchanged value in a suggestion. Package cmd/vernal
// quotes it.
func TestSuggestionsHoldForeignValues(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	const evil = "https://a.example/acs;$(id)"
	text := `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="` + a.EntityID + `">
<SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="` + evil + `" index="0"/>
</SPSSODescriptor></EntityDescriptor>`
	r := inspectText(t, inspector(i), text, i.Clock.Now())
	want := idp.Suggest(idp.DoSPEdit, a.EntityID).WithLabel(idp.LabelTakeOver).WithOption(idp.OptionACSURL, evil)
	if c := check(r, "AssertionConsumerService"); !cmp.Equal(c.Suggestions, []idp.Suggestion{want}) {
		t.Errorf("got %+v, want %+v", c.Suggestions, want)
	}
}

// An invalid time is reported as such, and nothing is computed from it.
func TestInvalidTimeIsReported(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	browser := i.Browser()
	page := browser.SignIn(browser.Get(a.URL(&idptest.Request{})), i.AddUser("ada@example.gov"))
	text := regexp.MustCompile(`NotOnOrAfter="[^"]*"`).ReplaceAllString(string(page.Response()), `NotOnOrAfter="tomorrow"`)
	r := inspectText(t, inspector(i), text, i.Clock.Now())
	k := slices.IndexFunc(r.Checks, func(c inspect.Check) bool { return c.Field == "Conditions" })
	if k < 0 {
		t.Fatalf("no Conditions in %+v", r.Checks)
	}
	if c := r.Checks[k]; c.Outcome != inspect.OutcomeRefused || len(c.Hints) != 1 || !strings.Contains(c.Hints[0], "is no time") {
		t.Errorf("%+v", c)
	}
}
