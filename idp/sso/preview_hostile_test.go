package sso_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
)

// Whatever is sent, without leave it is a year that was never made.
func TestPreviewWithoutLeave(t *testing.T) {
	t.Parallel()
	w := newPreviewWorld(t)
	previewed := w.AddProvider("https://field.example", w.field)
	inactive := w.AddProvider("https://inactive.example", w.field, func(p *idp.ServiceProvider) { p.Active = false })
	otherYear := w.AddProvider("https://year.example", func(p *idp.ServiceProvider) { p.Preview = "2001" })
	loose := w.AddProvider("https://loose.example", func(p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsOptional })
	a, b := w.AddProvider(spA), w.AddProvider(spB)
	forB, tokenB := w.link(spB, w.next)
	_, tokenYear := w.link(spA, "2001")
	_, _ = w.link("https://loose.example", w.next)
	ended, tokenEnded := w.link(spA, w.next)
	revoked, tokenRevoked := w.link(spA, w.next)
	if _, err := w.Links.Revoke(t.Context(), revoked.ID, "test"); err != nil {
		t.Fatal(err)
	}
	browserB := w.Browser()
	w.enter(browserB, tokenB)
	nameB := browserB.Cookies()[0].Name
	browserA := w.Browser()
	w.enter(browserA, tokenEnded)
	nameA := browserA.Cookies()[0].Name
	// The link has ended, and none for spA is left: a POST is not stored either.
	if _, err := w.Links.Revoke(t.Context(), ended.ID, "test"); err != nil {
		t.Fatal(err)
	}

	other := idptest.OtherKey()
	forged, forgedB := *previewed, *b
	forged.Key, forged.Cert = other, w.OtherCert()
	forgedB.Key, forgedB.Cert = other, w.OtherCert()
	gets := []struct {
		name, address string
		cookies       []*http.Cookie
	}{
		{"no SAMLRequest", w.URL + w.address(), nil},
		{"no message", w.URL + w.address() + "?SAMLRequest=x", nil},
		{"no leave", a.URL(w.request()), nil},
		{"leave for another year", otherYear.URL(w.request()), nil},
		{"inactive", inactive.URL(w.request()), nil},
		{"another's signature", previewed.URL(&idptest.Request{Year: w.next, Key: other}), nil},
		{"unsigned", previewed.URL(&idptest.Request{Year: w.next, Unsigned: true}), nil},
		{"a mistake, no leave", a.URL(&idptest.Request{Year: w.next, ACS: spA + "/other"}), nil},
		{"stale, no leave", a.URL(&idptest.Request{Year: w.next, Issued: w.Clock.Now().Add(-time.Hour)}), nil},
		{"another's link", a.URL(w.request()), []*http.Cookie{{Name: nameB, Value: tokenB}}},
		{"another's token under our name", a.URL(w.request()), []*http.Cookie{{Name: nameA, Value: tokenB}}},
		{"another year's token", a.URL(w.request()), []*http.Cookie{{Name: nameA, Value: tokenYear}}},
		{"a link that was revoked", a.URL(w.request()), []*http.Cookie{{Name: nameA, Value: tokenRevoked}}},
		{"a link's ID", a.URL(w.request()), []*http.Cookie{{Name: nameA, Value: forB.ID + "."}}},
		{"no token", a.URL(w.request()), []*http.Cookie{{Name: nameA, Value: ""}}},
	}
	for _, tt := range gets {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if status, cookies := w.raw(method, tt.address, nil, tt.cookies...); status != http.StatusNotFound || cookies > 0 {
				t.Errorf("%s %s: %d, %d cookies", method, tt.name, status, cookies)
			}
		}
		browser := w.Browser()
		if len(tt.cookies) == 0 {
			w.unknown(browser.Get(tt.address))
		}
	}
	posts := []struct {
		name string
		form url.Values
	}{
		{"no SAMLRequest", url.Values{}},
		{"no leave", a.Form(w.request())},
		{"inactive", inactive.Form(w.request())},
		{"another's signature", forged.Form(w.request())},
		{"another's signature, link outstanding", forgedB.Form(w.request())},
		{"unsigned, link outstanding", loose.Form(&idptest.Request{Year: w.next, Unsigned: true})},
		{"too long", url.Values{"SAMLRequest": {strings.Repeat("A", 2<<20)}}},
	}
	for _, tt := range posts {
		t.Run("POST "+tt.name, func(t *testing.T) {
			w.unknown(w.Browser().CrossSitePost(w.address(), tt.form))
			if status, cookies := w.raw(http.MethodPost, w.URL+w.address(), strings.NewReader(tt.form.Encode())); status != http.StatusNotFound || cookies > 0 {
				t.Errorf("%d, %d cookies: it was let in as far as the continue address", status, cookies)
			}
		})
	}
	if opened := w.uncounted(); len(opened) > 0 {
		t.Errorf("somebody was let in: %v", opened)
	}
}

// raw sends one request and follows nothing.
func (w *previewWorld) raw(method, address string, body io.Reader, cookies ...*http.Cookie) (status, set int) {
	w.t.Helper()
	req, err := http.NewRequest(method, address, body)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range cookies {
		req.AddCookie(c)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, len(resp.Cookies())
}
