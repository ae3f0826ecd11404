package binary

import (
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// Visitor is a user with a browser without script.
type Visitor struct {
	*User
	client *http.Client
	baseURL   string // of the identity provider
}

// NewVisitor returns a user with a new browser.
func (v *Vernal) NewVisitor(p *User) *Visitor {
	client := Client()
	client.Jar, _ = cookiejar.New(nil) // its error is always nil
	return &Visitor{User: p, client: client, baseURL: v.BaseURL}
}

// PageError is an unexpected page. Other errors mean that the server has ended.
type PageError struct {
	Status int
	Page   string
}

func (e *PageError) Error() string { return fmt.Sprintf("status %d:\n%s", e.Status, e.Page) }

// SignIn opens a URL that leads to the sign-in page and gives password and code. It returns
// the page that follows.
func (v *Visitor) SignIn(t testing.TB, address string) ([]byte, error) {
	page, err := v.Open(t, address)
	if err != nil {
		return nil, err
	}
	page, err = v.submit(t, "/sign-in", page, url.Values{"email": {v.Email}, "password": {v.Password}})
	if err != nil {
		return nil, err
	}
	return v.submit(t, "/sign-in/code", page, url.Values{"code": {v.Code(t)}})
}

// Open opens a URL and follows redirects.
func (v *Visitor) Open(t testing.TB, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return v.fetch(req)
}

var requestField = regexp.MustCompile(`name="request" value="([^"]*)"`)

// submit posts the form of the page with the values.
func (v *Visitor) submit(t testing.TB, path string, page []byte, values url.Values) ([]byte, error) {
	m := requestField.FindSubmatch(page)
	if m == nil || !strings.Contains(string(page), `action="`+path+`"`) {
		return nil, &PageError{http.StatusOK, "not the form for " + path + ":\n" + string(page)}
	}
	values.Set("request", html.UnescapeString(string(m[1])))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.baseURL+path, strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", v.baseURL)
	return v.fetch(req)
}

func (v *Visitor) fetch(req *http.Request) ([]byte, error) {
	req.Header.Set("Accept", "text/html")
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = &PageError{resp.StatusCode, string(page)}
	}
	return page, err
}

var responseField = regexp.MustCompile(`name="SAMLResponse" value="([^"]*)"`)

// ReadResponse returns the Response in a page that posts it.
func ReadResponse(page []byte) ([]byte, error) {
	m := responseField.FindSubmatch(page)
	if m == nil {
		return nil, errors.New("no SAMLResponse in the page")
	}
	return base64.StdEncoding.DecodeString(html.UnescapeString(string(m[1])))
}
