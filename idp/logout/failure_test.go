package logout_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/idptest/corpus"
	"vernal/idp/saml"
)

// An SP that is registered but not active ends no session, on any channel, and neither does
// one whose certificate was removed. A certificate that has only expired keeps working, and
// the log warns about it.
func TestInactiveSPCannotLogOut(t *testing.T) {
	t.Parallel()
	w, log := loggedDeployment(t)
	check := func(code string) {
		t.Helper()
		page := w.ada.browser.Get(w.a.LogoutURL(&idptest.LogoutRequest{NameID: w.ada.name}))
		form := w.a.SendRemoteLogout(&idptest.LogoutRequest{NameID: w.ada.name})
		soap := w.a.SendSOAPLogout(&idptest.LogoutRequest{NameID: w.ada.name})
		if page.Status != http.StatusBadRequest || page.Response() != nil || !strings.Contains(page.Text(), code) {
			t.Errorf("browser: %d, want %s\n%s", page.Status, code, page.Text())
		}
		if form.Status != http.StatusBadRequest || form.Response != nil || !strings.Contains(form.Body, code) {
			t.Errorf("form: %d, want %s\n%s", form.Status, code, form.Body)
		}
		if soap.Status != http.StatusOK || soap.Response.Status.StatusCode.Value != requester || !strings.Contains(soap.Body, code) {
			t.Errorf("SOAP: %d, want %s\n%s", soap.Status, code, soap.Body)
		}
		w.wantSignedIn("ada", "bob")
	}
	w.a.Edit(func(p *idp.ServiceProvider) { p.Active = false })
	check("sp_inactive")
	w.a.Edit(func(p *idp.ServiceProvider) { p.Active, p.Certs = true, []string{otherCert} })
	check("signature_mismatch")
	log.take(6)

	w.a.Key, w.a.Cert = corpus.Key(t, "expired"), corpus.Certs(t, "expired")[0]
	w.a.Edit(func(p *idp.ServiceProvider) { p.Certs = append(p.Certs, corpusCerts(t, "expired")...) })
	r := &idptest.LogoutRequest{NameID: w.ada.name}
	checkLogoutResponse(t, w.ada.browser.Get(w.a.LogoutURL(r)), w.a, r, ok, partialLogout)
	if lines := log.take(1); !strings.Contains(lines, `"request_certificate_ended":`) || !strings.Contains(lines, `"level":"WARN"`) {
		t.Errorf("no warning of the certificate:\n%s", lines)
	}
	w.wantSignedIn("bob")
}

// If a year is closed between a POST and its continue URL, the continue URL answers 410,
// offers to sign out here, and signs nothing.
func TestLogoutYearEndsWhileItWaits(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	r := &idptest.LogoutRequest{NameID: w.ada.name}
	resp, to := w.ada.browser.CrossSitePostOnly(w.a.LogoutEndpoint(r), w.a.LogoutForm(r))
	resp.Body.Close()
	w.Retire(r.Year)
	page := w.ada.browser.Get(to)
	if page.Status != http.StatusGone || page.Response() != nil || page.Form().Action != "/account/sign-out" {
		t.Errorf("%d, form to %q:\n%s", page.Status, page.Form().Action, page.Text())
	}
	w.wantSignedIn("ada", "bob")
}

// Two tabs send a message at once, and one message is posted twice. Every tab is answered, and
// an answered message ends no newer session.
func TestConcurrentLogoutTabsAreAnswered(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	post := func(r *idptest.LogoutRequest) (to string) {
		resp, to := w.ada.browser.CrossSitePostOnly(w.a.LogoutEndpoint(r), w.a.LogoutForm(r))
		resp.Body.Close()
		if resp.StatusCode != http.StatusSeeOther {
			t.Fatalf("%d", resp.StatusCode)
		}
		return to
	}
	one, two := &idptest.LogoutRequest{NameID: w.ada.name}, &idptest.LogoutRequest{NameID: w.ada.name}
	first, other, again := post(one), post(two), post(one)
	if first != again {
		t.Errorf("the same message leads to %q and %q", first, again)
	}
	checkLogoutResponse(t, w.ada.browser.Get(first), w.a, one, ok, partialLogout)
	w.wantSignedIn("bob")
	checkLogoutResponse(t, w.ada.browser.Get(other), w.a, two, ok, "") // no user is signed in any more
	checkLogoutResponse(t, w.ada.browser.Get(again), w.a, one, ok, partialLogout)

	w.signIn(&w.ada, w.a)
	checkLogoutResponse(t, w.ada.browser.Get(again), w.a, one, ok, partialLogout)
	checkLogoutResponse(t, w.ada.browser.Get(post(two)), w.a, two, ok, "")
	w.wantSignedIn("ada", "bob")
}

// A body that is cut off, too long or of a wrong media type is the sender's error. It is
// reported in the format of the channel and ends nothing.
func TestBrokenLogoutBodyEndsNothing(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	year := string(w.Year())
	const form = "application/x-www-form-urlencoded"
	tests := []struct {
		name, path, media string
		body              func() io.Reader
		status            int
		answer, code      string // media type and substring
	}{
		{"10 MB by the browser", "logout", form, newEndlessReader, http.StatusRequestEntityTooLarge, "text/html", ""},
		{"10 MB as a form", "remotelogout", form, newEndlessReader, http.StatusRequestEntityTooLarge, "text/plain", "request_too_large"},
		{"10 MB by SOAP", "remotelogout", "text/xml", newEndlessReader, http.StatusOK, "text/xml", "request_too_large"},
		{"cut off by the browser", "logout", form, newCutOffReader, http.StatusBadRequest, "text/html", ""},
		{"cut off as a form", "remotelogout", form, newCutOffReader, http.StatusBadRequest, "text/plain", "parameter_invalid"},
		{"cut off by SOAP", "remotelogout", "text/xml", newCutOffReader, http.StatusOK, "text/xml", "parameter_invalid"},
		{"UTF-16 by SOAP", "remotelogout", "text/xml; charset=utf-16", text("\xFF\xFE<\x00a\x00/\x00>\x00"), http.StatusOK, "text/xml", "xml_invalid"},
		{"a broken Content-Type", "remotelogout", "text/xml; charset", text("<a/>"), http.StatusOK, "text/xml", "message_type"},
		{"no Content-Type", "remotelogout", "", text("<a/>"), http.StatusBadRequest, "text/plain", "parameter_invalid"},
		{"multipart", "logout", "multipart/form-data; boundary=x", text("--x--"), http.StatusBadRequest, "text/html", "parameter_invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/api/saml/"+tt.path+year, tt.body())
			r.Header.Set("Content-Type", tt.media)
			r.Header.Set("Accept", "text/html")
			rec := httptest.NewRecorder()
			w.Handler.ServeHTTP(rec, r)
			if got := rec.Header().Get("Content-Type"); rec.Code != tt.status || !strings.HasPrefix(got, tt.answer) || !strings.Contains(rec.Body.String(), tt.code) {
				t.Errorf("%d %s, want %d %s and %q\n%s", rec.Code, got, tt.status, tt.answer, tt.code, rec.Body)
			}
			w.wantSignedIn("ada", "bob")
		})
	}
}

func newEndlessReader() io.Reader {
	return io.LimitReader(strings.NewReader(strings.Repeat("SAMLRequest=A", 1<<20)), 10<<20)
}

func newCutOffReader() io.Reader {
	return io.MultiReader(strings.NewReader("SAMLRequest=PHNhbW"), brokenReader{})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func text(s string) func() io.Reader { return func() io.Reader { return strings.NewReader(s) } }

// A connection that ends within a chunked body leaves the server unchanged.
func TestLogoutChunkedCutOff(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	base, _ := url.Parse(w.URL)
	for _, path := range []string{"logout", "remotelogout"} {
		for _, media := range []string{"application/x-www-form-urlencoded", "text/xml"} {
			conn, err := net.Dial("tcp", base.Host)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "POST /api/saml/%s%s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nSAMLRequest=PHNh", path, w.Year(), base.Host, media)
			_ = conn.(*net.TCPConn).CloseWrite()
			if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && resp.StatusCode >= 500 {
				t.Errorf("%s as %s: %d", path, media, resp.StatusCode)
			}
			conn.Close()
		}
	}
	w.wantSignedIn("ada", "bob")
	r := &idptest.LogoutRequest{NameID: w.ada.name}
	checkLogoutResponse(t, w.ada.browser.Get(w.a.LogoutURL(r)), w.a, r, ok, partialLogout)
}

// An envelope is accepted with any charset in its Content-Type and with or without a
// SOAPAction, because its content is signed.
func TestLogoutSOAPHeaders(t *testing.T) {
	t.Parallel()
	w := newCorpusDeployment(t, time.Date(2026, 11, 22, 12, 0, 2, 0, time.UTC))
	for _, header := range []http.Header{
		{"Content-Type": {"TEXT/XML"}},
		{"Content-Type": {"text/xml; charset=iso-8859-1"}},
		{"Content-Type": {"text/xml;charset=UTF-8"}, "Soapaction": {`"http://www.oasis-open.org/committees/security"`}},
		{"Content-Type": {"text/xml"}, "Soapaction": {"urn:something-else"}},
	} {
		d := &drawn{soap: true, LogoutRequest: idptest.LogoutRequest{NameID: corpusPeople[0].atSP1, Remote: true}}
		r := httptest.NewRequest(http.MethodPost, "/api/saml/remotelogout2026", strings.NewReader(string(d.inbound(w.sp1).Body)))
		r.Header = header
		rec := httptest.NewRecorder()
		w.Handler.ServeHTTP(rec, r)
		if who := w.listEnded(); rec.Code != http.StatusOK || len(who) != 1 || who[0] != "ada" {
			t.Errorf("%v: %d, ends the sessions of %v\n%s", header, rec.Code, who, rec.Body)
		}
		w.signIn()
	}
}

// forgedMessages returns, by channel, messages that anyone can send and that fail verification.
func forgedMessages(w *corpusDeployment, stranger idptest.LogoutRequest) map[string]func() (endpoint string, in saml.HTTPRequest) {
	made := func(remote, soap bool, method string) func() (string, saml.HTTPRequest) {
		d := &drawn{LogoutRequest: stranger, method: method, soap: soap}
		d.Remote, d.NameID = remote, corpusPeople[0].atSP1
		in, endpoint := d.inbound(w.sp1), corpus.Logout
		if remote {
			endpoint = corpus.RemoteLogout
		}
		return func() (string, saml.HTTPRequest) { return endpoint, in }
	}
	junk := func(endpoint string, in saml.HTTPRequest) func() (string, saml.HTTPRequest) {
		return func() (string, saml.HTTPRequest) { return endpoint, in }
	}
	return map[string]func() (string, saml.HTTPRequest){
		"GET":       made(false, false, http.MethodGet),
		"POST":      made(false, false, http.MethodPost),
		"form":      made(true, false, http.MethodPost),
		"SOAP":      made(true, true, http.MethodPost),
		"junk GET":  junk(corpus.Logout, saml.HTTPRequest{Method: http.MethodGet, RawQuery: "SAMLRequest=" + strings.Repeat("x", 4000)}),
		"junk SOAP": junk(corpus.RemoteLogout, saml.HTTPRequest{Method: http.MethodPost, ContentType: "text/xml", Body: []byte(strings.Repeat("<a>", 1000))}),
	}
}

// Unverified messages may come at any rate. They are recorded up to the budget that
// unauthenticated senders share, and only counted beyond it. Each costs one short log line.
func TestForgedLogoutsAreRecordedWithinBudget(t *testing.T) {
	t.Parallel()
	w := newCorpusDeployment(t, time.Date(2026, 11, 22, 12, 0, 2, 0, time.UTC))
	const rounds, budget = 40, 60
	before, sent := w.Changes(), 0
	for _, stranger := range []idptest.LogoutRequest{{Unsigned: true}, {Key: idptest.OtherKey()}} {
		for name, message := range forgedMessages(w, stranger) {
			for range rounds {
				w.log.take(0)
				endpoint, in := message()
				got := w.send(&corpus.Case{Inbound: in}, endpoint, "ada")
				sent++
				if lines := w.log.take(0); strings.Count(lines, "\n") != 1 || len(lines) > 2000 || got.status >= 500 {
					t.Fatalf("%s: %d, logged %d bytes:\n%s", name, got.status, len(lines), lines)
				}
			}
		}
	}
	stale := httptest.NewRequest(http.MethodGet, "/account/sign-out/continue?request=guessed", nil)
	for range rounds {
		w.Handler.ServeHTTP(httptest.NewRecorder(), stale)
		sent++
	}
	if made := w.Changes() - before; made == 0 || made > budget {
		t.Errorf("%d messages made %d changes in the store, want some and at most %d", sent, made, budget)
	}
	if who := w.listEnded(); len(who) > 0 {
		t.Errorf("the sessions of %v ended", who)
	}
}

// BenchmarkForgedLogout measures the cost of a refused message. The signature is checked if
// the message claims to be from a provider, and not if it is junk.
func BenchmarkForgedLogout(b *testing.B) {
	w := newCorpusDeployment(b, time.Date(2026, 11, 22, 12, 0, 2, 0, time.UTC))
	for name, message := range forgedMessages(w, idptest.LogoutRequest{Key: idptest.OtherKey()}) {
		b.Run(name, func(b *testing.B) {
			endpoint, in := message()
			before := w.Changes()
			for b.Loop() {
				w.send(&corpus.Case{Inbound: in}, endpoint, "")
				w.log.take(0)
			}
			b.ReportMetric(float64(w.Changes()-before)/float64(b.N), "changes/op")
		})
	}
}
