package inspect_test

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"strings"
	"testing"

	"vernal/idp/idptest"
	"vernal/idp/inspect"
)

// A pasted message is read from every common source.
func TestFindReadsPastedMessage(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	r := &idptest.Request{RelayState: "back here"}
	address := a.URL(r)
	form := a.Form(r)
	_, query, _ := strings.Cut(address, "?")
	encoded := form.Get("SAMLRequest")
	quoted, _ := json.Marshal(address)
	har := `{"log":{"entries":[{"request":{"method":"GET","url":"https://a.example/","postData":{}}},{"request":{"url":` + string(quoted) + `}}]}}`
	body, _ := json.Marshal(form.Encode())
	harForm := `{"log":{"entries":[{"request":{"url":"` + i.URL + `/api/saml/auth` + string(i.Year()) + `","postData":{"text":` + string(body) + `}}}]}}`
	harParams := `{"log":{"entries":[{"request":{"postData":{"params":[{"name":"SAMLRequest","value":"` + encoded + `"}]}}}]}}`
	page := `<!doctype html><body onload="document.forms[0].submit()"><form method="post" action="` + i.URL + `/api/saml/auth` + string(i.Year()) + `">
<input type="hidden" name="SAMLRequest" value="` + encoded + `"/><input type=hidden name=RelayState value="back here"></form>`
	tests := []struct {
		name string
		text string
	}{
		{"log line", `10.0.0.1 - - [22/Nov/2026] "GET /api/saml/auth` + string(i.Year()) + `?` + query + ` HTTP/1.1" 302 0`},
		{"curl", "curl -v '" + address + "' \\\n  -H 'accept: text/html'"},
		{"curl of a form", "curl " + i.URL + " --data-raw 'SAMLRequest=" + url.QueryEscape(encoded) + "&RelayState=x'"},
		{"link in a page's source", strings.ReplaceAll(address, "&", "&amp;")},
		{"anchor", `<a href="` + html.EscapeString(address) + `">sign in</a>`},
		{"page with the form", page},
		{"developer tools", "SAMLRequest: " + encoded + "\nRelayState: back"},
		{"developer tools, JSON", "\"SAMLRequest\": \"" + encoded + "\",\n\"RelayState\": \"back\""},
		{"HAR, redirect", har},
		{"HAR, form", harForm},
		{"HAR, parameters", harParams},
		{"JSON of a log", `{"event":{"url":` + string(quoted) + `}}`},
		{"JSON by name", `{"SAMLRequest":"` + encoded + `"}`},
		{"broken into lines", "SAMLRequest=" + encoded[:76] + "\r\n" + encoded[76:]},
		{"byte order mark", "\uFEFF" + address},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := inspect.Find(tt.text)
			if len(all) != 1 {
				t.Fatalf("%d messages: %+v", len(all), all)
			}
			got := inspectText(t, inspector(i), tt.text, i.Clock.Now())
			if got.Refused || got.Cert == nil || !strings.Contains(got.XML, r.ID) {
				t.Errorf("%v, refused with %v:\n%s", got.Kind, codes(got), got.XML)
			}
		})
	}
}

// Each of several messages in a text can be selected, and none of the surrounding text is
// included.
func TestFindReadsEachPastedMessage(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	browser := i.Browser()
	address := a.URL(&idptest.Request{})
	page := browser.SignIn(browser.Get(address), i.AddUser("ada@example.gov"))
	form := url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString(page.Response())}}
	first, _ := json.Marshal(address)
	second, _ := json.Marshal(form.Encode())
	har := `{"log":{"entries":[{"request":{"url":` + string(first) + `}},
{"request":{"url":"` + i.URL + `/sign-in","postData":{"text":"password=hunter2"}}},
{"request":{"url":"https://a.example/acs","postData":{"text":` + string(second) + `}}}]}}`
	all := inspect.Find(har)
	if len(all) != 2 {
		t.Fatalf("%d messages", len(all))
	}
	sent, err := json.Marshal(all)
	if err != nil || strings.Contains(string(sent), "hunter2") {
		t.Errorf("the password comes along: %s, %v", sent, err)
	}
	for n, want := range []string{"AuthnRequest", "Response"} {
		if r := inspectMessage(t, inspector(i), inspect.Message{FoundMessage: all[n], AssumedAt: i.Clock.Now().Add(1)}); r.Kind != want {
			t.Errorf("message %d is a %s, want %s", n+1, r.Kind, want)
		}
	}
	// The page with the Response, as the browser received it.
	r := inspectText(t, inspector(i), string(page.Body), i.Clock.Now())
	if r.Kind != "Response" || r.Refused {
		t.Errorf("the page: %s, refused with %v", r.Kind, codes(r))
	}
}
