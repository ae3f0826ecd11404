package idptest

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/html"

	"vernal/idp"
)

// Browser keeps cookies and follows redirects as a real browser does, but runs no script.
type Browser struct {
	// Language is sent as Accept-Language, "" for none.
	Language string

	idp    *IdP
	client *http.Client
	jar    *jar
}

// jar also records the cookies that are SameSite=None, as a browser does.
type jar struct {
	*cookiejar.Jar
	mu        sync.Mutex
	crossSite map[string]bool
}

// SetCookies implements http.CookieJar.
func (j *jar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.mu.Lock()
	for _, c := range cookies {
		j.crossSite[c.Name] = c.SameSite == http.SameSiteNoneMode && c.Secure
	}
	j.mu.Unlock()
	j.Jar.SetCookies(u, cookies)
}

// addCrossSite adds the cookies that a browser sends when another site posts a form.
func (j *jar) addCrossSite(req *http.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.Cookies(req.URL) {
		if j.crossSite[c.Name] {
			req.AddCookie(c)
		}
	}
}

// Browser returns a new browser without cookies.
func (i *IdP) Browser() *Browser {
	cookies, _ := cookiejar.New(nil)
	jar := &jar{Jar: cookies, crossSite: map[string]bool{}}
	return &Browser{idp: i, jar: jar, client: &http.Client{Transport: i.Client.Transport, Jar: jar}}
}

// Page is the answer after all redirects, with its URL.
type Page struct {
	URL    *url.URL
	Status int
	Header http.Header
	Body   []byte
	Doc    *html.Node
}

// Get opens a URL and follows redirects.
func (b *Browser) Get(pageURL string) *Page {
	b.idp.tb.Helper()
	req, err := http.NewRequest(http.MethodGet, b.resolveURL(pageURL), nil)
	if err != nil {
		b.idp.tb.Fatal(err)
	}
	return b.do(req)
}

// Head requests a URL by HEAD and follows redirects.
func (b *Browser) Head(pageURL string) *Page {
	b.idp.tb.Helper()
	req, err := http.NewRequest(http.MethodHead, b.resolveURL(pageURL), nil)
	if err != nil {
		b.idp.tb.Fatal(err)
	}
	return b.do(req)
}

// Post sends a form of our own page and follows redirects.
func (b *Browser) Post(pageURL string, form url.Values) *Page {
	b.idp.tb.Helper()
	req, err := http.NewRequest(http.MethodPost, b.resolveURL(pageURL), strings.NewReader(form.Encode()))
	if err != nil {
		b.idp.tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(req)
}

// CrossSitePost sends a form as a page of another site does: only with our cookies that are
// SameSite=None. It stores the cookies of the answer, and follows the redirect as a browser would,
// with all cookies.
func (b *Browser) CrossSitePost(pageURL string, form url.Values) *Page {
	b.idp.tb.Helper()
	resp, redirectURL := b.CrossSitePostOnly(pageURL, form)
	if redirectURL != "" {
		_ = resp.Body.Close()
		return b.Get(redirectURL)
	}
	return b.readPage(resp)
}

// CrossSitePostOnly works like CrossSitePost, but does not follow the redirect. It returns the URL of the
// redirect, "" without one. The caller closes the body.
func (b *Browser) CrossSitePostOnly(pageURL string, form url.Values) (resp *http.Response, redirectURL string) {
	b.idp.tb.Helper()
	req, err := http.NewRequest(http.MethodPost, b.resolveURL(pageURL), strings.NewReader(form.Encode()))
	if err != nil {
		b.idp.tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	b.jar.addCrossSite(req)
	req.Header.Set("Origin", "https://other-site.example")
	client := &http.Client{Transport: b.client.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err = client.Do(req)
	if err != nil {
		b.idp.tb.Fatal(err)
	}
	b.jar.SetCookies(req.URL, resp.Cookies())
	if location, err := resp.Location(); err == nil {
		redirectURL = location.String()
	}
	return resp, redirectURL
}

func (b *Browser) resolveURL(pageURL string) string {
	if strings.HasPrefix(pageURL, "/") {
		return b.idp.URL + pageURL
	}
	return pageURL
}

func (b *Browser) do(req *http.Request) *Page {
	if b.Language != "" {
		req.Header.Set("Accept-Language", b.Language)
	}
	b.idp.tb.Helper()
	req.Header.Set("Accept", "text/html,application/xhtml+xml")
	resp, err := b.client.Do(req)
	if err != nil {
		b.idp.tb.Fatal(err)
	}
	return b.readPage(resp)
}

func (b *Browser) readPage(resp *http.Response) *Page {
	b.idp.tb.Helper()
	page, err := ReadPage(resp)
	if err != nil {
		b.idp.tb.Fatal(err)
	}
	return page
}

// ReadPage reads an answer to its end.
func ReadPage(resp *http.Response) (*Page, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	doc, err := html.Parse(bytes.NewReader(body))
	return &Page{URL: resp.Request.URL, Status: resp.StatusCode, Header: resp.Header, Body: body, Doc: doc}, err
}

// Cookies returns the cookies that the browser would send to the identity provider.
func (b *Browser) Cookies() []*http.Cookie {
	u, _ := url.Parse(b.idp.URL)
	return b.jar.Cookies(u)
}

// Session returns the value of the browser's session cookie, "" without one.
func (b *Browser) Session() string {
	for _, c := range b.Cookies() {
		if strings.TrimPrefix(c.Name, "__Host-") == "vernal-session" {
			return c.Value
		}
	}
	return ""
}

// KeepCookies adds the cookies of an answer that the browser did not request itself.
func (b *Browser) KeepCookies(resp *http.Response) {
	b.jar.SetCookies(resp.Request.URL, resp.Cookies())
}

// SignIn fills in the sign-in page and the code page, and returns the next page.
func (b *Browser) SignIn(page *Page, p *User) *Page {
	b.idp.tb.Helper()
	return b.GiveCode(b.GivePassword(page, p), p)
}

// GivePassword fills in the sign-in page.
func (b *Browser) GivePassword(page *Page, p *User) *Page {
	b.idp.tb.Helper()
	form := page.Form()
	if _, ok := form.Fields["password"]; !ok {
		b.idp.tb.Fatalf("no sign-in page, but %d %s:\n%s", page.Status, page.URL, page.Text())
	}
	form.Fields.Set("email", p.Email)
	form.Fields.Set("password", p.Password)
	return b.Post(form.Action, form.Fields)
}

// GiveCode fills in the code page. boxes are the names of checkboxes to tick.
func (b *Browser) GiveCode(page *Page, p *User, boxes ...string) *Page {
	b.idp.tb.Helper()
	form := page.Form()
	if _, ok := form.Fields["code"]; !ok {
		b.idp.tb.Fatalf("no code page after the password, but %d %s:\n%s", page.Status, page.URL, page.Text())
	}
	form.Fields.Set("code", p.Code())
	for _, name := range boxes {
		form.Fields.Set(name, "yes")
	}
	return b.Post(form.Action, form.Fields)
}

// Form is the main form of a page.
type Form struct {
	Action string
	Fields url.Values
}

// Form reads the page's first form. Without one, the fields are empty.
func (p *Page) Form() Form {
	f := Form{Fields: url.Values{}}
	var walk func(*html.Node, bool) bool
	walk = func(n *html.Node, isInForm bool) (isDone bool) {
		if n.Type == html.ElementNode && n.Data == "form" {
			f.Action, isInForm = getAttr(n, "action"), true
		}
		if isInForm && n.Type == html.ElementNode && n.Data == "input" && getAttr(n, "name") != "" && !isUnchecked(n) {
			f.Fields.Add(getAttr(n, "name"), getAttr(n, "value"))
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			if walk(c, isInForm) {
				return true
			}
		}
		return n.Type == html.ElementNode && n.Data == "form"
	}
	walk(p.Doc, false)
	return f
}

// isUnchecked reports whether an input is an unchecked checkbox, which a browser does not send.
func isUnchecked(n *html.Node) bool {
	isTicked := slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "checked" })
	return getAttr(n, "type") == "checkbox" && !isTicked
}

// Response returns the SAML Response that the page posts, nil if it posts none.
func (p *Page) Response() []byte {
	xml, err := base64.StdEncoding.DecodeString(p.Form().Fields.Get("SAMLResponse"))
	if err != nil || len(xml) == 0 {
		return nil
	}
	return xml
}

// Text returns the text of the page without tags.
func (p *Page) Text() string {
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode && (n.Data == "script" || n.Data == "style") {
			return
		}
		if n.Type == html.TextNode {
			if s := strings.TrimSpace(n.Data); s != "" {
				b.WriteString(s + "\n")
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(p.Doc)
	return b.String()
}

func getAttr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// Year returns the preferred year of the identity provider.
func (b *Browser) Year() idp.Year { return b.idp.Year() }
