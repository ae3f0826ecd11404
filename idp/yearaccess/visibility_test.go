package yearaccess_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
	"vernal/idp/sharelink"
)

const (
	spA = "https://a.example"
	spB = "https://b.example"
	// neverMadeURL is a year that no test makes.
	neverMade idp.Year = "2199"
)

// yearlyPaths are those of all yearly URLs.
var yearlyPaths = []string{"auth%s", "logout%s", "remotelogout%s", "metadata%s", "certificate%s.pem"}

// server is an identity provider whose next year is created and not published.
type server struct {
	*idptest.IdP
	t    *testing.T
	next idp.Year
	tls  bool
}

func newServer(t *testing.T, tls bool, change ...func(*idptest.Options)) *server {
	t.Helper()
	years := rotation.DefaultPolicy().FirstYears(time.Now().UTC())
	at, err := time.Parse("2006", string(years[len(years)-1]))
	if err != nil {
		t.Fatal(err)
	}
	next := idp.Year(at.AddDate(1, 0, 0).Format("2006"))
	o := idptest.Options{Years: []idp.Year{next}, TLS: tls}
	for _, c := range change {
		c(&o)
	}
	return &server{IdP: idptest.New(t, o), t: t, next: next, tls: tls}
}

// forSubtest returns the same server for a subtest.
func (w *server) forSubtest(t *testing.T) *server {
	return &server{IdP: w.IdP, t: t, next: w.next, tls: w.tls}
}

// runOverBoth runs a test over http and over https, where cookies differ.
func runOverBoth(t *testing.T, test func(t *testing.T, w *server)) {
	t.Parallel()
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%t", tls), func(t *testing.T) {
			t.Parallel()
			test(t, newServer(t, tls))
		})
	}
}

// openByField returns a registration whose field opens the next year.
func (w *server) openByField(p *idp.ServiceProvider) { p.Preview = w.next }

func unsigned(p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsOptional }

func (w *server) link(sp idp.EntityID, y idp.Year) (sharelink.Link, string) {
	w.t.Helper()
	l, token, err := w.Links.Create(w.t.Context(), sharelink.Link{Kind: sharelink.Preview, Year: y, SP: sp, ExpiresAt: w.Clock.Now().Add(time.Hour)}, "test")
	if err != nil {
		w.t.Fatal(err)
	}
	return l, token
}

func (w *server) revoke(l sharelink.Link) {
	w.t.Helper()
	if _, err := w.Links.Revoke(w.t.Context(), l.ID, "test"); err != nil {
		w.t.Fatal(err)
	}
}

// enter opens a link in a new browser.
func (w *server) enter(token string) *idptest.Browser {
	w.t.Helper()
	b := w.Browser()
	if page := b.Get(w.URL + "/developers/preview?link=" + url.QueryEscape(token)); page.Status != http.StatusOK {
		w.t.Fatalf("the link gives %d:\n%s", page.Status, page.Text())
	}
	return b
}

func (w *server) step(kind rotation.StepKind) {
	w.t.Helper()
	if _, err := w.Rotation.Take(w.t.Context(), rotation.Step{Kind: kind, Year: w.next}, "test", false); err != nil {
		w.t.Fatal(err)
	}
}

func (w *server) auth(y idp.Year) string { return w.URL + "/api/saml/auth" + string(y) }

func (w *server) request() *idptest.Request { return &idptest.Request{Year: w.next} }

// cookie returns a preview cookie as anyone can make one up.
func (w *server) cookie(sp string, y idp.Year, value string) *http.Cookie {
	sum := sha256.Sum256([]byte(string(y) + "\x00" + sp))
	name := "vernal-preview-" + hex.EncodeToString(sum[:8])
	if w.tls {
		name = "__Host-" + name
	}
	return &http.Cookie{Name: name, Value: value}
}

// answer is the answer to one request, without following redirects.
type answer struct {
	path            string
	status, cookies int
	text            string // all of it but what differs each time
}

// perAnswer matches the parts that differ between any two answers.
var perAnswer = regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{16}|nonce[-="][^' "]+|(?m)^Date: .*$`)

func (w *server) send(method, address string, form url.Values, change ...func(*http.Request)) answer {
	w.t.Helper()
	req, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Accept", "text/html")
	for _, c := range change {
		c(req)
	}
	resp, err := w.Client.Transport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var b strings.Builder
	_ = resp.Header.Write(&b)
	return answer{path: req.URL.Path, status: resp.StatusCode, cookies: len(resp.Cookies()), text: perAnswer.ReplaceAllString(fmt.Sprintf("%d\n%s\n%s", resp.StatusCode, &b, body), "-")}
}

func with(cookies ...*http.Cookie) func(*http.Request) {
	return func(r *http.Request) {
		for _, c := range cookies {
			r.AddCookie(c)
		}
	}
}

// invisible checks that an answer is that of a year that was never made: the same bytes but
// the requested path.
func (w *server) invisible(name string, got answer, method string) {
	w.t.Helper()
	want := w.send(method, w.URL+w.neverMadeURL(got.path), nil)
	if w.neverMadeURL(got.text) != want.text || want.status != http.StatusNotFound {
		w.t.Errorf("%s:\n%s\n\nwant the answer of a year that was never made\n%s", name, got.text, want.text)
	}
}

// neverMadeURL returns a text about the next year as it is for one that was never made.
func (w *server) neverMadeURL(text string) string {
	return strings.ReplaceAll(text, string(w.next), string(neverMade))
}

// TestUnpublishedYearLooksNeverMade checks that a year that is not published and one that
// was never made answer with the same bytes, whatever is sent and whatever opens the former
// to others.
func TestUnpublishedYearLooksNeverMade(t *testing.T) {
	runOverBoth(t, func(t *testing.T, w *server) {
		a := w.AddProvider(spA)
		loose := w.AddProvider("https://loose.example", unsigned)
		field := w.AddProvider("https://field.example")
		tokens := map[string]string{"junk": "x.y", "empty": ""}
		answers := func(t *testing.T, y idp.Year, path string) map[string]string {
			w := w.forSubtest(t)
			address := w.URL + "/api/saml/" + fmt.Sprintf(path, y)
			got := map[string]string{}
			add := func(name, method, query string, form url.Values, change ...func(*http.Request)) {
				got[method+" "+name] = w.send(method, address+query, form, change...).text
			}
			query := func(p *idptest.Provider, r idptest.Request) string {
				r.ID, r.Year = "_same", w.next
				_, q, _ := strings.Cut(p.URL(&r), "?")
				return "?" + q
			}
			signed := query(a, idptest.Request{})
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
				add("nothing", method, "", nil)
				add("a locale", method, "?SAMLRequest=PGEvPg==&locale=fr", nil)
				add("a locale, encoded", method, "?SAMLRequest=PGEvPg==&%6Cocale=fr", nil)
				add("a message", method, signed, nil)
				add("unsigned, of a sender that may", method, query(loose, idptest.Request{Unsigned: true}), nil)
				add("unsigned, in the name of another", method, query(field, idptest.Request{Unsigned: true}), nil)
				add("badly signed, in the name of another", method, query(field, idptest.Request{Key: idptest.OtherKey()}), nil)
				add("twice", method, "?SAMLRequest=x&SAMLRequest=y", nil)
				add("too long", method, "?SAMLRequest="+strings.Repeat("A", 200<<10), nil)
			}
			form := a.Form(&idptest.Request{ID: "_same", Year: w.next})
			form.Set("locale", "fr")
			add("a message", http.MethodPost, "", form)
			add("a locale", http.MethodPost, "", url.Values{"SAMLRequest": {"PGEvPg=="}, "locale": {"fr"}})
			add("nothing", http.MethodPost, "", url.Values{})
			add("too long", http.MethodPost, "", url.Values{"SAMLRequest": {strings.Repeat("A", 2<<20)}})
			add("a logout", http.MethodPost, "", a.LogoutForm(&idptest.LogoutRequest{ID: "_same", Year: w.next, NameID: "x"}))
			add("a logout, unsigned, in the name of another", http.MethodPost, "", field.LogoutForm(&idptest.LogoutRequest{ID: "_same", Year: w.next, NameID: "x", Unsigned: true}))
			for name, token := range tokens {
				cookie := with(w.cookie(spA, y, token))
				add("the cookie "+name, http.MethodGet, signed, nil, cookie)
				add("the cookie "+name, http.MethodPost, "", form, cookie)
				add("the token "+name, http.MethodGet, "?preview="+url.QueryEscape(token), nil)
			}
			return got
		}
		for _, then := range []struct {
			name   string
			change func()
		}{
			{"no preview", func() {}},
			{"the field of another", func() { field.Edit(w.openByField) }},
			{"a link for another", func() { _, tokens["for another"] = w.link(spB, w.next) }},
			{"a link for another year", func() { _, tokens["for another year"] = w.link(spA, "2001") }},
			{"a link that is revoked", func() {
				var l sharelink.Link
				l, tokens["revoked"] = w.link(spA, w.next)
				w.revoke(l)
			}},
		} {
			then.change()
			t.Run(then.name, func(t *testing.T) {
				for _, path := range yearlyPaths {
					made, missing := answers(t, w.next, path), answers(t, neverMade, path)
					for name := range made {
						if name == "GET the token for another" && !strings.Contains(path, "log") && !strings.Contains(path, "auth") {
							continue // it opens the document, whichever provider it was made for
						}
						// The path is in the page's language switcher.
						x, y := strings.ReplaceAll(made[name], string(w.next), "YEAR"), strings.ReplaceAll(missing[name], string(neverMade), "YEAR")
						if x != y || !strings.HasPrefix(x, "404") && !strings.HasPrefix(x, "405") {
							t.Errorf("%s %s: created\n%s\n\nnever made\n%s", path, name, x, y)
						}
					}
				}
			})
		}
	})
}

// TestUnpublishedYearStaysClosed checks that a request without a preview of its own year and
// service provider is treated as a stranger's, and that nothing of it is kept.
func TestUnpublishedYearStaysClosed(t *testing.T) {
	runOverBoth(t, func(t *testing.T, w *server) {
		field := w.AddProvider("https://field.example", w.openByField)
		inactive := w.AddProvider("https://inactive.example", w.openByField, func(p *idp.ServiceProvider) { p.Active = false })
		otherYear := w.AddProvider("https://year.example", func(p *idp.ServiceProvider) { p.Preview = "2001" })
		loose := w.AddProvider("https://loose.example", unsigned)
		a, b := w.AddProvider(spA), w.AddProvider(spB)
		forB, tokenB := w.link(spB, w.next)
		_, tokenYear := w.link(spA, "2001")
		w.link("https://loose.example", w.next)
		revoked, tokenRevoked := w.link(spA, w.next)
		w.revoke(revoked)
		_, wall, err := w.Links.Create(t.Context(), sharelink.Link{Kind: sharelink.Wallboard}, "test")
		if err != nil {
			t.Fatal(err)
		}
		forged, forgedB := *field, *b
		forged.Key, forged.Cert = idptest.OtherKey(), w.NewOtherCert()
		forgedB.Key, forgedB.Cert = idptest.OtherKey(), w.NewOtherCert()
		for _, tt := range []struct {
			name   string
			sender *idptest.Provider
			change func(*idptest.Request)
			cookie *http.Cookie
		}{
			{"no preview", a, nil, nil},
			{"a preview of another year", otherYear, nil, nil},
			{"inactive", inactive, nil, nil},
			{"another's signature", &forged, nil, nil},
			{"unsigned", field, func(r *idptest.Request) { r.Unsigned = true }, nil},
			{"a link that this browser never opened", b, nil, nil},
			{"unsigned, a link is out", loose, func(r *idptest.Request) { r.Unsigned = true }, nil},
			{"another's signature, with a link", &forgedB, nil, w.cookie(spB, w.next, tokenB)},
			{"a mistake", a, func(r *idptest.Request) { r.ACS = spA + "/other" }, nil},
			{"old", a, func(r *idptest.Request) { r.IssuedAt = w.Clock.Now().Add(-time.Hour) }, nil},
			{"another's cookie", a, nil, w.cookie(spB, w.next, tokenB)},
			{"another's token under our name", a, nil, w.cookie(spA, w.next, tokenB)},
			{"another year's cookie", a, nil, w.cookie(spA, "2001", tokenYear)},
			{"another year's token under this name", a, nil, w.cookie(spA, w.next, tokenYear)},
			{"the token of a link that was revoked", a, nil, w.cookie(spA, w.next, tokenRevoked)},
			{"the token of a wall", a, nil, w.cookie(spA, w.next, wall)},
			{"an ID without its secret", b, nil, w.cookie(spB, w.next, forB.ID+".")},
			{"a secret without its end", b, nil, w.cookie(spB, w.next, tokenB[:len(tokenB)-1])},
			{"no token", a, nil, w.cookie(spA, w.next, "")},
		} {
			t.Run(tt.name, func(t *testing.T) {
				w := w.forSubtest(t)
				change := func(*http.Request) {}
				if tt.cookie != nil {
					change = with(tt.cookie)
				}
				for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
					r := w.request()
					if tt.change != nil {
						tt.change(r)
					}
					address, form := w.auth(w.next), url.Values(nil)
					if method == http.MethodPost {
						form = tt.sender.Form(r)
					} else {
						address = tt.sender.URL(r)
					}
					w.invisible(method, w.send(method, address, form, change), method)
					if _, err := w.Store.LoginRequest(t.Context(), idp.RequestKey{SP: idp.EntityID(tt.sender.EntityID), MessageID: r.ID}); err == nil {
						t.Errorf("%s: the request is kept", method)
					}
				}
				logout := &idptest.LogoutRequest{NameID: "x", Year: w.next, Unsigned: strings.HasPrefix(tt.name, "unsigned"), Key: tt.sender.Key}
				if tt.name != "a mistake" && tt.name != "old" { // those are about the AuthnRequest
					w.invisible("logout by GET", w.send(http.MethodGet, tt.sender.LogoutURL(logout), nil, change), http.MethodGet)
					w.invisible("logout by POST", w.send(http.MethodPost, tt.sender.LogoutEndpoint(logout), tt.sender.LogoutForm(logout), change), http.MethodPost)
				}
			})
		}
		w.Clock.Advance(2 * time.Hour)
		w.invisible("the cookie of a link that has expired", w.send(http.MethodGet, b.URL(w.request()), nil, with(w.cookie(spB, w.next, tokenB))), http.MethodGet)
		w.invisible("the same by POST", w.send(http.MethodPost, w.auth(w.next), b.Form(w.request()), with(w.cookie(spB, w.next, tokenB))), http.MethodPost)
		records, err := audit.Records(t.Context(), w.Store, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.Kind == "preview.admit" || r.Kind == "sign_in" {
				t.Errorf("a request was let in: %+v", r)
			}
		}
	})
}

// TestBackChannelTakesNoLink checks that no cookie and no link opens the back channel, which
// belongs to servers.
func TestBackChannelTakesNoLink(t *testing.T) {
	runOverBoth(t, func(t *testing.T, w *server) {
		a := w.AddProvider(spA)
		_, token := w.link(spA, w.next)
		r := &idptest.LogoutRequest{NameID: "x", Year: w.next, Remote: true}
		address := a.LogoutEndpoint(r)
		for name, cookie := range map[string]*http.Cookie{"none": {Name: "x"}, "its link": w.cookie(spA, w.next, token)} {
			w.invisible(name, w.send(http.MethodPost, address, a.LogoutForm(r), with(cookie)), http.MethodPost)
			w.invisible(name+", and its token", w.send(http.MethodPost, address+"?preview="+url.QueryEscape(token), a.LogoutForm(r), with(cookie)), http.MethodPost)
		}
		a.Edit(w.openByField)
		if got := w.send(http.MethodPost, address, a.LogoutForm(r)); got.status == http.StatusNotFound {
			t.Errorf("the field does not open it:\n%s", got.text)
		}
	})
}

// TestBodyIsReadOnlyWherePreviewIsExpected checks that the body of a request is not read
// where no preview is expected: the server answers a client that sends Expect: 100-continue
// without asking for the body. Where one is expected, the server also asks for the body of a
// request to a year that was never made.
func TestBodyIsReadOnlyWherePreviewIsExpected(t *testing.T) {
	t.Parallel()
	w := newServer(t, false)
	a := w.AddProvider(spA)
	asked := func(y idp.Year, path string) bool {
		t.Helper()
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		body := a.Form(&idptest.Request{Year: y}).Encode()
		fmt.Fprintf(conn, "POST /api/saml/%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
			fmt.Sprintf(path, y), len(body))
		r := bufio.NewReader(conn)
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(line, " 100 ") {
			if !strings.Contains(line, " 404 ") {
				t.Errorf("%s", line)
			}
			return false
		}
		if _, err := conn.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, r)
		return true
	}
	check := func(name string, want bool) {
		t.Helper()
		for _, path := range []string{"auth%s", "logout%s", "remotelogout%s"} {
			for _, y := range []idp.Year{w.next, neverMade} {
				if got := asked(y, path); got != want {
					t.Errorf("%s: "+path+" reads the body: %v, want %v", name, y, got, want)
				}
			}
		}
	}
	check("no preview", false)
	l, _ := w.link(spB, w.next)
	w.revoke(l)
	check("a revoked link", false)
	w.AddProvider("https://field.example", w.openByField)
	check("the field of another", true)
}

// TestPreviewOfYearNeverMadeOpensNothing checks that a preview of a year that was never
// made, or is not made yet, opens nothing.
func TestPreviewOfYearNeverMadeOpensNothing(t *testing.T) {
	runOverBoth(t, func(t *testing.T, w *server) {
		field := w.AddProvider("https://field.example", func(p *idp.ServiceProvider) { p.Preview = neverMade })
		a := w.AddProvider(spA)
		_, token := w.link(spA, neverMade)
		cookie := with(w.cookie(spA, neverMade, token))
		for _, p := range []*idptest.Provider{field, a} {
			wrong := &idptest.Request{Year: neverMade, ACS: spB}
			w.invisible("GET", w.send(http.MethodGet, p.URL(&idptest.Request{Year: neverMade}), nil, cookie), http.MethodGet)
			w.invisible("GET of a mistake", w.send(http.MethodGet, p.URL(wrong), nil, cookie), http.MethodGet)
			w.invisible("POST", w.send(http.MethodPost, w.auth(neverMade), p.Form(&idptest.Request{Year: neverMade}), cookie), http.MethodPost)
			r := &idptest.LogoutRequest{NameID: "x", Year: neverMade}
			w.invisible("logout", w.send(http.MethodGet, p.LogoutURL(r), nil, cookie), http.MethodGet)
			r = &idptest.LogoutRequest{NameID: "x", Year: neverMade, Remote: true}
			w.invisible("back channel", w.send(http.MethodPost, p.LogoutEndpoint(r), p.LogoutForm(r), cookie), http.MethodPost)
		}
		metadata := w.URL + "/api/saml/metadata" + string(neverMade)
		w.invisible("metadata", w.send(http.MethodGet, metadata+"?preview="+url.QueryEscape(token), nil), http.MethodGet)
		if got := w.send(http.MethodGet, w.URL+"/developers/preview?link="+url.QueryEscape(token), nil); got.status != http.StatusNotFound || got.cookies != 0 {
			t.Errorf("the link: %d, %d cookies", got.status, got.cookies)
		}
	})
}
