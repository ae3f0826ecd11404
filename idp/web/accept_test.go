package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const (
	acceptChrome  = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
	acceptFirefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
)

// The format that a client requests, for answers that default to HTML and for those that
// default to text.
func TestChooseFormat(t *testing.T) {
	t.Parallel()
	// The results for answers that default to HTML, and for those that default to text.
	type answers struct{ html, text format }
	usual, html := answers{formatHTML, formatText}, answers{formatHTML, formatHTML}
	json, text := answers{formatJSON, formatJSON}, answers{formatText, formatText}
	tests := []struct {
		name   string
		accept []string
		want   answers
	}{
		{"no header", nil, usual},
		{"empty", []string{""}, usual},
		{"anything", []string{"*/*"}, usual},
		{"anything, weighted", []string{"*/*;q=0.1"}, usual},
		{"Chrome", []string{acceptChrome}, html},
		{"Firefox", []string{acceptFirefox}, html},
		{"an image in a page", []string{"image/avif,image/webp,*/*;q=0.8"}, usual},
		{"Java", []string{"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"}, html},
		{"an enhanced client of SAML", []string{"text/html; application/vnd.paos+xml"}, html},
		{"a loader of metadata", []string{"application/samlmetadata+xml, application/xml;q=0.8"}, usual},
		{"a loader of metadata that takes anything", []string{"application/samlmetadata+xml,*/*;q=0.1"}, usual},
		{"JSON", []string{"application/json"}, json},
		{"JSON in capitals", []string{"Application/JSON; Charset=utf-8"}, json},
		{"text", []string{"text/plain"}, text},
		{"axios", []string{"application/json, text/plain, */*"}, json},
		{"JSON or anything", []string{"*/*, application/json"}, json},
		{"JSON rather than HTML", []string{"text/html;q=0.9, application/json"}, json},
		{"text rather than JSON", []string{"application/json;q=0.5, text/plain;q=0.8"}, text},
		{"thousandths", []string{"application/json;q=0.899, text/plain;q=0.9"}, text},
		{"HTML among equals", []string{"text/plain, application/json, text/html"}, html},
		{"HTML among equals of half weight", []string{"text/plain;q=0.5, text/html;q=0.5"}, html},
		{"any application", []string{"application/*"}, json},
		{"HTML and any application", []string{"text/html, application/*"}, html},
		{"no HTML", []string{"text/html;q=0, */*;q=0.5"}, answers{formatJSON, formatText}},
		{"no HTML and no JSON", []string{"text/html;q=0, application/json;q=0, */*"}, text},
		{"the closest range counts", []string{"text/*;q=0.9, text/html;q=0.1, application/json;q=0.5"}, text},
		{"the closest range counts, in another order", []string{"text/html;q=0.1, */*;q=0.9"}, answers{formatJSON, formatText}},
		{"nothing at all", []string{"*/*;q=0"}, usual},
		{"refused by name", []string{"application/json;q=0"}, usual},
		{"refused by name with zeros", []string{"application/json;q=0.000"}, usual},
		{"two headers", []string{"image/png", "application/json"}, json},
		{"a comma in quotes", []string{`x/y;a=",application/json,", text/plain`}, text},
		{"a quote that never ends", []string{`text/plain;a=", application/json`}, text},
		{"a weight that is none", []string{"application/json;q=high"}, json},
		{"a weight that is no number", []string{"application/json;q=nan, text/plain;q=0.9"}, json},
		{"a weight above 1", []string{"application/json;q=7, text/html"}, html},
		{"spaces", []string{" , text/plain ; q = 0.2 , ,application/json;q=0.3"}, json},
		{"separators only", []string{",;,;;=,"}, usual},
		{"too long", []string{"application/json," + strings.Repeat("x/y,", 1000)}, usual},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Accept"] = tt.accept
		if got := (answers{chooseFormat(r, formatHTML), chooseFormat(r, formatText)}); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// For any header, the answer has a format, and a client that names only HTML with full weight
// gets it.
func FuzzChooseFormat(f *testing.F) {
	for _, seed := range []string{"", "*/*", acceptChrome, acceptFirefox, `a/b;c="d\",e";q=0.3,text/plain`, ",;q=,=", `"`, `\`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, usual := range []format{formatHTML, formatText} {
			r.Header["Accept"] = []string{accept}
			got := chooseFormat(r, usual)
			if got < 0 || got >= formatCount {
				t.Fatalf("%q: format %d", accept, got)
			}
			lower := strings.ToLower(accept)
			if got == formatJSON && !strings.Contains(lower, "application/") && !strings.Contains(lower, "*/*") {
				t.Fatalf("%q: JSON, which was not accepted", accept)
			}
			if len(accept) > maxAccept-20 || strings.Contains(lower, "text/html") || strings.ContainsAny(accept, `"\`) {
				continue
			}
			r.Header["Accept"] = []string{accept, "text/html"}
			if got := chooseFormat(r, usual); got != formatHTML {
				t.Fatalf("%q and text/html: format %d", accept, got)
			}
		}
	})
}
