package main

import (
	"context"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"vernal/idp/idptest"
)

// visitor is a browser without script: it keeps cookies, and leaves ours out of
// forms that another site's page posts, as SameSite demands.
type visitor struct {
	t    *testing.T
	jar  http.CookieJar
	dial http.RoundTripper
}

func newVisitor(t *testing.T) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	// Names below localhost are for browsers; not every resolver knows them.
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		var d net.Dialer
		return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t: t, jar: jar, dial: transport}
}

func (v *visitor) get(address string) *idptest.Page {
	v.t.Helper()
	return v.do(http.MethodGet, address, nil, v.jar)
}

// send posts the form of a page, with the fields that a person fills in.
func (v *visitor) send(page *idptest.Page, fields ...string) *idptest.Page {
	v.t.Helper()
	form := page.Form()
	if form.Action == "" {
		v.t.Fatalf("no form on %s:\n%s", page.URL, page.Text())
	}
	for i := 0; i < len(fields); i += 2 {
		form.Fields.Set(fields[i], fields[i+1])
	}
	to, err := page.URL.Parse(form.Action)
	if err != nil {
		v.t.Fatal(err)
	}
	if to.Hostname() == page.URL.Hostname() {
		return v.do(http.MethodPost, to.String(), form.Fields, v.jar)
	}
	return v.do(http.MethodPost, to.String(), form.Fields, laxJar{v.jar})
}

// laxJar keeps what is set and sends nothing: a cross-site POST.
type laxJar struct{ http.CookieJar }

func (laxJar) Cookies(*url.URL) []*http.Cookie { return nil }

func (v *visitor) do(method, address string, form url.Values, jar http.CookieJar) *idptest.Page {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := &http.Client{Transport: v.dial, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	if to, err := resp.Location(); err == nil {
		resp.Body.Close()
		return v.get(to.String())
	}
	page, err := idptest.ReadPage(resp)
	if err != nil {
		v.t.Fatal(err)
	}
	return page
}

// nameID returns the NameID that a sample shows.
func nameID(t *testing.T, page *idptest.Page) string {
	t.Helper()
	found := regexp.MustCompile(`<code id="name-id">([0-9a-f-]{36})</code>`).FindSubmatch(page.Body)
	if found == nil {
		t.Fatalf("no NameID on %s:\n%s", page.URL, page.Text())
	}
	return string(found[1])
}

// codeOf returns the user's code, a number of steps ahead of now.
func codeOf(t *testing.T, d *runningDemo, ahead int) string {
	t.Helper()
	code, err := totp.GenerateCode(d.TOTPSecret, time.Now().Add(time.Duration(ahead)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// signInAtDemo goes through password and code and, if the user has not agreed before, the consent. It
// ends on the page of a sample.
func (v *visitor) signInAtDemo(d *runningDemo, sample int, code string) *idptest.Page {
	v.t.Helper()
	page := v.get(d.Samples[sample].URL + pathSignedIn)
	page = v.send(page, "email", d.Email, "password", d.Password)
	page = v.send(page, "code", code)
	if _, ok := page.Form().Fields["shown"]; ok {
		page = v.agree(page)
	}
	return v.send(page) // the response page
}

// agree agrees on the page that asks for consent, and returns the next page.
func (v *visitor) agree(page *idptest.Page) *idptest.Page {
	v.t.Helper()
	if _, ok := page.Form().Fields["shown"]; !ok {
		v.t.Fatalf("no question on %s:\n%s", page.URL, page.Text())
	}
	return v.send(page)
}

func wantText(t *testing.T, page *idptest.Page, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(page.Text(), w) {
			t.Errorf("no %q on %s:\n%s", w, page.URL, page.Text())
		}
	}
}
