package inspect_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"mime/quotedprintable"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"vernal/idp/idptest"
	"vernal/idp/inspect"
)

// wrapped breaks a text into lines of n bytes.
func wrapped(text string, n int, end string) string {
	var b strings.Builder
	for len(text) > n {
		b.WriteString(text[:n] + end)
		text = text[n:]
	}
	return b.String() + text
}

// quotedMail returns a text as a mail quotes it.
func quotedMail(text, mark string) string {
	return mark + strings.ReplaceAll(text, "\n", "\n"+mark)
}

func quotedPrintable(text string) string {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

func asJSON(v any) string {
	doc, _ := json.Marshal(v)
	return string(doc)
}

func inUTF16(text string, big bool) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune("\uFEFF" + text)) {
		if big {
			b.Write([]byte{byte(u >> 8), byte(u)})
		} else {
			b.Write([]byte{byte(u), byte(u >> 8)})
		}
	}
	return b.String()
}

// proofpoint2 returns a link as rewritten by urldefense version 2.
func proofpoint2(link string) string {
	var b strings.Builder
	for _, c := range []byte(link) {
		switch {
		case c == '/':
			b.WriteByte('_')
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9', c == '.':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "-%02X", c)
		}
	}
	return "https://urldefense.proofpoint.com/v2/url?u=" + b.String() + "&d=DwMFaQ&c=abc&r=def&m=ghi&s=jkl&e="
}

// proofpoint3 returns a link as rewritten by urldefense version 3.
func proofpoint3(link string) string {
	const runs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var b strings.Builder
	var kept []byte
	special := func(c byte) bool { return strings.IndexByte("?=&%+*", c) >= 0 }
	for i := 0; i < len(link); {
		n := 0
		for i+n < len(link) && special(link[i+n]) && n < 65 {
			n++
		}
		switch {
		case n == 0:
			b.WriteByte(link[i])
			n = 1
		case n == 1:
			b.WriteByte('*')
			kept = append(kept, link[i])
		default:
			b.WriteString("**" + string(runs[n-2]))
			kept = append(kept, link[i:i+n]...)
		}
		i += n
	}
	return "https://urldefense.com/v3/__" + b.String() + "__;" + base64.URLEncoding.EncodeToString(kept) + "!!abc123!def$ "
}

// TestFindReadsMessageInAnyForm checks that the same signed message is found once in any form,
// and that the server accepts it.
func TestFindReadsMessageInAnyForm(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	r := &idptest.Request{RelayState: "back here"}
	link := a.URL(r)
	form := a.Form(r)
	encoded := form.Get("SAMLRequest")
	doc, _ := base64.StdEncoding.DecodeString(encoded)
	xml := string(doc)
	endpoint, query, _ := strings.Cut(link, "?")
	path := strings.TrimPrefix(endpoint, i.URL)
	values, _ := url.ParseQuery(query)
	page := `<!doctype html><html><body onload="document.forms[0].submit()"><form method="post" action="` + endpoint + `">
<input type="hidden" name="RelayState" value="back here"/>
<input value="` + html.EscapeString(encoded) + `" name="SAMLRequest" type="hidden"></form></body></html>`
	esc := url.QueryEscape
	const (
		entities, backslash, percent = inspect.StepEntities, inspect.StepBackslash, inspect.StepPercent
		joined, quote                = inspect.StepJoined, inspect.StepMailQuote
	)
	steps := func(s ...inspect.Step) []inspect.Step { return s }
	tests := []struct {
		name, text string
		place      inspect.Place
		steps      []inspect.Step
	}{
		// Logs.
		{"nginx", `10.0.0.1 - - [22/Nov/2026:12:00:00 +0000] "GET ` + path + "?" + query + ` HTTP/1.1" 303 0 "https://a.example/?x=1" "Mozilla/5.0"`, "url", nil},
		{"key and value", "time=2026-11-30 level=info msg=got SAMLRequest=" + esc(values.Get("SAMLRequest")) + " RelayState=back%20here SigAlg=" + esc(values.Get("SigAlg")) + " Signature=" + esc(values.Get("Signature")), "parameters", nil},
		{"key and quoted value", `level=info SAMLRequest="` + values.Get("SAMLRequest") + `" RelayState="back here" SigAlg="` + values.Get("SigAlg") + `" Signature="` + values.Get("Signature") + `"`, "parameters", nil},
		{"key and whole URL", `level=info uri="` + link + `" status=303`, "url", nil},
		{"JSON log", `{"level":"info","uri":"` + strings.ReplaceAll(link, "&", `\u0026`) + `"}`, "json", nil},
		{"JSON log behind a time", `2026-11-30T03:41:07Z {"level":"info","uri":"` + strings.ReplaceAll(link, "&", `\u0026`) + `"}`, "url", steps(backslash)},
		{"JSON in JSON", asJSON(map[string]string{"log": asJSON(map[string]string{"uri": link})}), "url", steps(backslash, backslash)},
		{"JSON with slashes escaped", `x {"uri":"` + strings.ReplaceAll(link, "/", `\/`) + `"}`, "url", steps(backslash)},
		{"CloudFront, which encodes again", "2026-11-30\t03:41:07\tGET\td1.cloudfront.net\t" + path + "\t303\t-\tMozilla\t" + strings.ReplaceAll(query, "%", "%25") + "\t-", "url", steps(percent)},
		{"XML after the head of a line", "2026-11-30 03:41:07 DEBUG saml - Request: " + xml, "xml", nil},
		{"XML on the next line", "Request:\n" + xml + "\nend of request", "xml", nil},
		{"XML in JSON", `{"level":"debug","message":` + asJSON("Request: "+xml) + `}`, "xml", steps(backslash)},
		{"XML in JSON, twice", "log: " + asJSON(asJSON(xml)), "xml", steps(backslash, backslash)},
		{"XML as Python prints it", `b'` + strings.ReplaceAll(xml, "'", `\'`) + `'`, "xml", nil},
		{"XML percent-encoded", "body=" + url.PathEscape(xml), "xml", steps(percent)},
		{"XML as a form encodes it", "body=" + esc(xml), "xml", steps(percent)},
		{"XML with a declaration", "got <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + xml + " from 10.0.0.1", "xml", nil},
		// Tickets and mail.
		{"XML escaped", "<p>it sends</p><pre>" + html.EscapeString(xml) + "</pre>", "xml", steps(entities)},
		{"XML escaped twice", html.EscapeString(html.EscapeString(xml)), "xml", steps(entities, entities)},
		{"URL escaped", "it is " + html.EscapeString(link) + " and fails", "url", nil},
		{"URL in a sentence", "Users are sent to " + link + ". Then they see an error (400).", "url", nil},
		{"URL in Markdown", "See [the link](" + link + ") please", "url", nil},
		{"URL in angle brackets", "<" + link + ">", "url", nil},
		{"URL in backticks", "`" + link + "`", "url", nil},
		{"URL in typographic quotes", "“" + link + "”", "url", nil},
		{"URL in guillemets", "« " + link + " »", "url", nil},
		{"URL of Slack", "<" + link + "|sign in>", "url", nil},
		{"URL with zero-width spaces", strings.ReplaceAll(link, "SAMLRequest=", "SAML\u200BRequest="), "url", steps(inspect.StepInvisible)},
		{"URL broken into lines", "it fails:\n\n" + wrapped(link, 76, "\n") + "\n\nThanks\nAda", "url", steps(joined)},
		{"URL broken by Windows", "it fails:\r\n\r\n" + wrapped(link, 76, "\r\n") + "\r\n\r\nThanks\r\n", "url", steps(joined)},
		{"URL quoted and broken", "On Monday Ada wrote:\n" + quotedMail("it fails:\n"+wrapped(link, 74, "\n")+"\nThanks a lot\n", "> "), "url", steps(joined)},
		{"URL quoted twice", quotedMail("On Monday Ada wrote:\n"+quotedMail("it fails:\n"+link+"\nbye", "> "), "> "), "url", nil},
		{"XML quoted", "Ada wrote:\n" + quotedMail("here:\n"+strings.ReplaceAll(xml, " ID=", "\n ID=")+"\nbye", "> "), "xml", steps(quote)},
		{"mail source", "Content-Transfer-Encoding: quoted-printable\n\n" + quotedPrintable("it fails:\n"+link+"\nbye\n"), "url", steps(inspect.StepMailEncoded)},
		{"mail source with XML", "Content-Transfer-Encoding: quoted-printable\n\n" + quotedPrintable("it fails:\n"+xml+"\nbye\n"), "xml", steps(inspect.StepMailEncoded)},
		{"SafeLinks", "https://nam02.safelinks.protection.outlook.com/?url=" + esc(link) + "&data=05%7C02%7C&sdata=a%3D&reserved=0", "url", steps(percent)},
		{"SafeLinks in HTML", `<a href="https://nam02.safelinks.protection.outlook.com/?url=` + esc(link) + `&amp;data=05%7C02%7C&amp;reserved=0">here</a>`, "url", steps(percent)},
		{"SafeLinks, twice", "https://eur01.safelinks.protection.outlook.com/?url=" + esc("https://nam02.safelinks.protection.outlook.com/?url="+esc(link)+"&data=05%7C02") + "&reserved=0", "url", steps(percent, percent)},
		{"Proofpoint 2", "see " + proofpoint2(link) + " please", "url", steps(inspect.StepProofpoint)},
		{"Proofpoint 3", "see " + proofpoint3(link) + " please", "url", steps(inspect.StepProofpoint)},
		{"Google", "https://www.google.com/url?q=" + esc(link) + "&sa=D&source=calendar&usg=AOv", "url", steps(percent)},
		{"Barracuda", "https://linkprotect.cudasvc.com/url?a=" + esc(link) + "&c=E,1,abc&typo=1", "url", steps(percent)},
		{"Cisco", "https://secure-web.cisco.com/1abcDEF/" + esc(link), "url", steps(percent)},
		{"another redirect", "https://l.example/?u=" + esc(link) + "&h=AT0", "url", steps(percent)},
		{"percent-encoded twice", esc(esc(link)), "url", steps(percent, percent)},
		{"a sign-in page that comes back to it", "https://portal.example/login?goto=" + esc(link), "url", steps(percent)},
		// Tools.
		{"curl", "curl -v '" + link + "' \\\n  -H 'accept: text/html'", "url", nil},
		{"curl of a form", "curl '" + endpoint + "' \\\n  -H 'content-type: application/x-www-form-urlencoded' \\\n  --data-raw 'SAMLRequest=" + esc(encoded) + "&RelayState=back+here'", "url", nil},
		{"curl of Windows", `curl ^"` + strings.NewReplacer("&", "^&", "%", "^%").Replace(link) + `^" ^` + "\r\n  -H ^\"accept: text/html^\"", "url", steps(inspect.StepCaret)},
		{"curl, encoded by it", "curl " + endpoint + " --data-urlencode 'SAMLRequest=" + encoded + "'", "url", nil},
		{"curl -v", "* Connected to idp\n> GET " + path + "?" + query + " HTTP/1.1\n> Host: idp.example\n> User-Agent: curl/8\n>\n< HTTP/1.1 303 See Other\n", "url", nil},
		{"curl -v, HTTP/2", "* [HTTP/2] [1] [:method: GET]\n* [HTTP/2] [1] [:path: " + path + "?" + query + "]\n", "url", nil},
		{"a Location header", "HTTP/1.1 302 Found\r\nLocation: " + link + "\r\nContent-Length: 0\r\n", "url", nil},
		{"HTTP request", "POST " + path + " HTTP/1.1\r\nHost: idp.example\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nSAMLRequest=" + esc(encoded) + "&RelayState=back+here", "url", nil},
		{"multipart form", "--b\r\nContent-Disposition: form-data; name=\"SAMLRequest\"\r\n\r\n" + encoded + "\r\n--b\r\nContent-Disposition: form-data; name=\"RelayState\"\r\n\r\nback\r\n--b--", "parameters", nil},
		{"fetch", `fetch("` + endpoint + `", {"body": "SAMLRequest=` + esc(encoded) + `&RelayState=back+here", "method": "POST"});`, "url", nil},
		{"HAR snippet", `"request": { "method": "GET", "url": "` + link + `", "httpVersion": "HTTP/2", "queryString": [ { "name": "SAMLRequest", "value": "` + values.Get("SAMLRequest") + `" } ] },`, "url", nil},
		{"HAR snippet of a form", `"postData": { "params": [ { "name": "SAMLRequest", "value": "` + esc(encoded) + `" }, { "name": "RelayState", "value": "back%20here" } ] }`, "parameters", nil},
		{"developer tools", "SAMLRequest: " + encoded + "\nRelayState: back here", "parameters", nil},
		{"developer tools, relay state first", "RelayState: back here\nSAMLRequest: " + esc(encoded), "parameters", nil},
		{"developer tools, broken into lines", "Form Data\nSAMLRequest: " + wrapped(encoded, 90, "\n") + "\nRelayState: back here\n", "parameters", nil},
		{"developer tools, a redirect", "SAMLRequest: " + values.Get("SAMLRequest") + "\nRelayState: back here\nSigAlg: " + values.Get("SigAlg") + "\nSignature: " + values.Get("Signature"), "parameters", nil},
		{"developer tools, value on the next line", "SAMLRequest:\n" + encoded + "\nRelayState:\nback", "parameters", nil},
		{"a table", "RelayState\tback\nSAMLRequest\t" + encoded + "\n", "parameters", nil},
		{"a map of Java", "{SAMLRequest=[" + encoded + "], RelayState=[back]}", "parameters", nil},
		{"an array of PHP", "Array\n(\n    [SAMLRequest] => " + encoded + "\n    [RelayState] => back\n)", "parameters", nil},
		{"a hash of Ruby", `Parameters: {"SAMLRequest"=>"` + encoded + `", "RelayState"=>"back"}`, "parameters", nil},
		{"a dictionary of Python", `{'SAMLRequest': ['` + encoded + `'], 'RelayState': ['back']}`, "parameters", nil},
		{"page", page, "form", nil},
		{"page behind headers", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page, "form", nil},
		{"page, escaped", html.EscapeString(page), "form", steps(entities)},
		{"page in JSON", `{"body":` + asJSON(page) + `}`, "form", steps(backslash)},
		{"a form with text areas", `<FORM METHOD=POST ACTION=` + endpoint + `><TEXTAREA NAME=SAMLRequest>` + encoded + `</TEXTAREA></FORM>`, "form", nil},
		// Messages alone.
		{"base64", encoded, "base64", nil},
		{"base64, broken into lines", wrapped(encoded, 64, "\n"), "base64", steps(joined)},
		{"base64, indented", "    " + wrapped(encoded, 76, "\n    "), "base64", steps(joined)},
		{"base64, quoted", quotedMail(wrapped(encoded, 72, "\n"), "> "), "base64", steps(joined)},
		{"base64 in a sentence", "The value was " + encoded + " as we saw", "base64", nil},
		{"base64 in quotes", `"` + encoded + `"`, "base64", nil},
		{"base64 with printed line breaks", wrapped(encoded, 76, `\n`), "base64", nil},
		{"base64, percent-encoded", esc(encoded), "base64", nil},
		{"a query without its name", "request: " + values.Get("SAMLRequest"), "base64", nil},
		{"XML", xml, "xml", nil},
		{"UTF-16 of PowerShell", inUTF16(xml, false), "xml", steps(inspect.StepUTF16)},
		{"UTF-16, big end first", inUTF16("it is "+link, true), "url", steps(inspect.StepUTF16)},
		{"UTF-16 with a declaration", inUTF16(`<?xml version="1.0" encoding="utf-16"?>`+xml, false), "xml", steps(inspect.StepUTF16)},
		{"byte order mark", "\uFEFF" + xml, "xml", nil},
		{"XML with typographic quotes", strings.NewReplacer(` ID="`, ` ID=“`, `" Version="`, `” Version="`).Replace(xml), "xml", steps(inspect.StepTypographic)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all := inspect.Find(tt.text)
			if len(all) != 1 {
				for _, s := range all {
					t.Errorf("%s by %v: %.100s %.100s", s.Place, s.Steps, s.Query, s.XML)
				}
				t.Fatalf("%d messages in %.400q", len(all), tt.text)
			}
			got := inspectText(t, inspector(i), tt.text, i.Clock.Now())
			unsigned := tt.name == "a query without its name" // its signature is in the parameters
			if !strings.Contains(got.XML, r.ID) || !unsigned && (got.Refused || got.Cert == nil) {
				t.Errorf("%v, refused with %v\n%+v\n%s", got.Kind, codes(got), got.Checks, got.XML)
			}
			if got.Place != tt.place || !slices.Equal(got.Steps, tt.steps) {
				t.Errorf("found as %s by %v, want %s by %v", got.Place, got.Steps, tt.place, tt.steps)
			}
		})
	}
}
